"""One run of the whole path, sensors to alerts, and the verdict on it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from simulator.city.layout import City, make_city
from simulator.city.traffic import CityTraffic
from simulator.fleet.fleet import Fleet
from simulator.fleet.pace import Pace
from simulator.run.aws_target import aws_target
from simulator.run.compiling import compile_report
from simulator.run.conducting import Conducted, conduct
from simulator.run.folder import clear
from simulator.run.gathering import gather
from simulator.run.interruption import Interruption
from simulator.run.local_target import local_target
from simulator.run.memory_target import MemoryTarget
from simulator.run.options import Break, RunOptions, TargetName
from simulator.run.planned import planned_faults
from simulator.run.report import Report
from simulator.run.series import write_recording
from simulator.run.settling import ALLOWANCE_S, settle
from simulator.run.steps import step
from simulator.run.target import StoredWindows, Target
from simulator.verification.accounting import account
from simulator.verification.alerts import declared_exclusions
from simulator.verification.archive import TruthArchive
from simulator.verification.judging import judge_tables, segments_at_risk
from simulator.verification.kept import keep_windows
from simulator.verification.lake import LakeVerdict, verify_lake
from simulator.verification.record import RunRecord, write_record
from simulator.verification.windows import starts_by_gateway
from simulator.verification.witnesses import Witness


def run(
    options: RunOptions,
    console: Console,
    conclude: Callable[[Report, Target], None] = lambda _report, _target: None,
    interruption: Interruption | None = None,
) -> Report:
    """Run, verify and report. Raises the errors of the parts; `ok` in the report says whether all was well.

    Parameters
    ----------
    conclude : called with the report and the target while that is still there
    interruption : may end the readings before their time; then the report is of those that there were
    """
    interruption = interruption or Interruption()
    planned_s = options.duration_s
    with step(console, f"lay out a city of {options.sensors:,} sensors on {options.gateways:,} gateways"):
        city = make_city(options.sensors, options.gateways, options.seed)
        planned = planned_faults(options, city)
        traffic = CityTraffic(city, options.seed, options.scenario)
    clear(options.out)
    work_dir = options.out.absolute() / "work"
    work_dir.mkdir(parents=True)
    pace = Pace(options.speed, options.duration_s + ALLOWANCE_S)
    with open_target(options, city, pace, work_dir, console) as target:
        with step(console, "register the gateways"):
            target.admit([gateway.gateway_id for gateway in city.gateways])
        fleet = Fleet(options, city, target.connect, pace, work_dir, Path(sys.executable).parents[1], planned)
        with step(console, "connect the fleet"):
            fleet.__enter__()
        try:
            with _archive(options) as archive:
                conducted = conduct(options, city, traffic, fleet, target, planned, console, interruption, archive)
            options = replace(options, duration_s=conducted.feed.seconds)
            with step(console, "wait for what is under way"):
                truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
                starts_ms = starts_by_gateway(city, truth)
                settled = settle(options, fleet, conducted.start_ms, starts_ms, alerts_due, target.events)
            fleet.close_books()
            target.end_of_readings()
        finally:
            fleet.__exit__()
        conducted.oracle.exclusions = declared_exclusions(target.events.events())
        record = _record(options, fleet, conducted)
        write_record(record, options.out)
        with step(console, "compare what is stored with the oracle"):
            if options.break_window in (Break.MISSING, Break.WRONG):
                target.damage(options.break_window)
            since_ms = conducted.rolling.since_ms
            stored = target.windows()
            if options.archive:
                keep_windows(options.out, stored)
            write_recording(options.out, conducted.recorder, city, traffic, target.events.received(), stored)
            not_judged = {place: windows for place, windows in stored.items() if place[1] >= since_ms}
            verdict = judge_tables(
                record,
                city,
                conducted.oracle,
                not_judged,
                target.sensors(since_ms),
                target.events.events(),
                repeated=target.events.repeated,
                earlier=conducted.rolling.verdict,
            )
            tally = conducted.rolling.tally
            tally.add(city, conducted.oracle.windows(since_ms), not_judged)
        lake = _judged_lake(options, city, target, conducted, record, stored, console)
        report = compile_report(
            options,
            city,
            fleet,
            conducted,
            verdict.windows,
            verdict.alerts,
            verdict.sensors,
            lake,
            account(gather(city, conducted.feed, fleet, tally, conducted.oracle.exclusions)),
            settled,
            target.events.latencies_s(1000 * fleet.meter.latency_until_s),
        )
        report |= {"interrupted": interruption.asked, "duration_planned_s": planned_s}
        _judge_length(report)
        conclude(report, target)
    return report


def _judge_length(report: Report) -> None:
    """A run that nobody interrupted and that is shorter than planned was ended by its cap: that is not all well."""
    measured_s, planned_s = report["duration_s"], report["duration_planned_s"]
    if measured_s < planned_s and not report["interrupted"]:
        report["ok"] = False
        report["problems"].append(f"the cap ended the readings after {measured_s} of {planned_s} s")


def open_target(
    options: RunOptions, city: City, pace: Pace, work_dir: Path, console: Console
) -> AbstractContextManager[Target]:
    """What shall stand behind the gateways; it is there within the context."""
    match options.target:
        case TargetName.LOCAL:
            return local_target(options, city, work_dir, console)
        case TargetName.MEMORY:
            return nullcontext(MemoryTarget(pace.clock.wall_ms))
        case TargetName.AWS:
            return aws_target(options, city, console)


def _judged_lake(
    options: RunOptions,
    city: City,
    target: Target,
    conducted: Conducted,
    record: RunRecord,
    stored: StoredWindows,
    console: Console,
) -> LakeVerdict | None:
    """What is wrong with the lake; None where there is none."""
    if target.lake is None:
        return None
    with step(console, "roll up, and compare the lake with the oracle"):
        return verify_lake(
            target.lake,
            conducted.oracle.hours(),
            stored,
            {event["event_id"] for event in target.events.events()},
            uncertain=segments_at_risk(record, city),
            damaged=options.break_window is Break.LAKE,
        )


@contextmanager
def _archive(options: RunOptions) -> Iterator[list[Witness]]:
    """Who else is told what the oracle is told."""
    if not options.archive:
        yield []
        return
    with TruthArchive(options.out) as archive:
        yield [archive]


def _record(options: RunOptions, fleet: Fleet, conducted: Conducted) -> RunRecord:
    return RunRecord(
        sensors=options.sensors,
        gateways=options.gateways,
        seed=options.seed,
        window_s=options.window_s,
        sensor_summary_s=options.sensor_summary_s,
        lateness_ms=options.lateness_ms,
        start_ms=conducted.start_ms,
        duration_s=options.duration_s,
        uncertain=fleet.uncertain(),
        at_risk=fleet.at_risk(),
        exclusions=tuple(conducted.oracle.exclusions),
        options=asdict(options),
    )
