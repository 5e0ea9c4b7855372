"""One run of the whole path, sensors to alerts, and the verdict on it."""

import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from aggregator.settings import MIN_IDLE_GRACE_MS
from simulator.city.layout import City, make_city
from simulator.city.traffic import CityTraffic
from simulator.fleet.fleet import Fleet
from simulator.run.compiling import compile_report
from simulator.run.conducting import conduct
from simulator.run.local_target import local_target
from simulator.run.memory_target import MemoryTarget
from simulator.run.options import Break, RunOptions, TargetName
from simulator.run.report import Report
from simulator.run.series import write_recording
from simulator.run.settling import settle
from simulator.run.steps import step
from simulator.run.target import Events, Target
from simulator.verification.alerts import AlertVerdict, declared_exclusions, verify_alerts
from simulator.verification.lake import LakeVerdict, verify_lake
from simulator.verification.oracle import AlertTruth
from simulator.verification.sensors import verify_sensors
from simulator.verification.windows import Verdict, verify


def run(
    options: RunOptions,
    console: Console,
    conclude: Callable[[Report, Target], None] = lambda _report, _target: None,
) -> Report:
    """Run, verify and report. Raises the errors of the parts; `ok` in the report says whether all was well.

    Parameters
    ----------
    conclude : called with the report and the target while that is still there
    """
    with step(console, f"lay out a city of {options.sensors:,} sensors on {options.gateways:,} gateways"):
        city = make_city(options.sensors, options.gateways, options.seed)
        traffic = CityTraffic(city, options.seed)
    work_dir = options.out.absolute() / "work"
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    with open_target(options, city, work_dir, console) as target:
        with step(console, "register the gateways"):
            target.admit([gateway.gateway_id for gateway in city.gateways])
        fleet = Fleet(options, city, target.connect, work_dir, Path(sys.executable).parents[1])
        with step(console, "connect the fleet"):
            fleet.__enter__()
        try:
            conducted = conduct(options, city, traffic, fleet, target, console)
            with step(console, "wait for what is under way"):
                truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
                settled = settle(options, fleet, conducted.start_ms, truth.keys(), alerts_due, target.events)
            target.end_of_readings()
        finally:
            fleet.__exit__()
        conducted.oracle.exclusions = declared_exclusions(target.events.events())
        if conducted.oracle.exclusions:
            truth, alerts_due = conducted.oracle.windows(), conducted.oracle.alerts()
        with step(console, "compare what is stored with the oracle"):
            if options.break_window in (Break.MISSING, Break.WRONG):
                target.damage(options.break_window)
            at_risk = {real.plan.gateway_id: real.at_risk() for real in fleet.real}
            stored = target.windows()
            write_recording(options.out, conducted.recorder, city, traffic, target.events.received(), stored)
            verdict = verify(city, truth, stored, at_risk, conducted.oracle.late())
            sensors = verify_sensors(
                city,
                conducted.oracle,
                truth.keys(),
                target.sensors(),
                interval_ms=1000 * options.sensor_summary_s,
                uncertain={
                    gateway.plan.gateway_id for gateway in (fleet.gateways if _stood_still(fleet) else fleet.real)
                },
            )
            alerts = _verify_alerts(alerts_due, max(truth) + 1000 * options.window_s, fleet, verdict, target.events)
        lake: LakeVerdict | None = None
        if target.lake is not None:
            with step(console, "roll up, and compare the lake with the oracle"):
                at_risk_segments = {
                    s.number for real in fleet.real if at_risk[real.plan.gateway_id] for s in real.plan.segments
                }
                lake = verify_lake(
                    target.lake,
                    conducted.oracle.hours(),
                    stored,
                    {event["event_id"] for event in target.events.events()},
                    uncertain=at_risk_segments,
                    damaged=options.break_window is Break.LAKE,
                )
        report = compile_report(
            options,
            city,
            fleet,
            conducted,
            verdict,
            alerts,
            sensors,
            lake,
            settled,
            target.events.latencies_s(1000 * fleet.meter.latency_until_s),
        )
        conclude(report, target)
    return report


def open_target(options: RunOptions, city: City, work_dir: Path, console: Console) -> AbstractContextManager[Target]:
    """What shall stand behind the gateways; it is there within the context."""
    match options.target:
        case TargetName.LOCAL:
            return local_target(options, city, work_dir, console)
        case TargetName.MEMORY:
            return nullcontext(MemoryTarget())


def _verify_alerts(
    due: list[AlertTruth], until_ms: int, fleet: Fleet, verdict: Verdict, events: Events
) -> AlertVerdict:
    """Compare the alerts; apart are those whose window lost readings, or got late ones otherwise than planned.

    That is no fault of a real process, which takes what has waited for it at one go, and none of any gateway on a
    machine that stood still for so long that a gateway takes it for silence. Elsewhere it excuses nothing.
    """
    gateways = fleet.gateways if _stood_still(fleet) else fleet.real
    excused = {s.number for gateway in gateways for s in gateway.plan.segments}
    uncertain = {segment: start_ms for segment, start_ms in verdict.unplanned.items() if segment in excused}
    return verify_alerts(due, events.events(), until_ms=until_ms, uncertain=uncertain, repeated=events.repeated)


def _stood_still(fleet: Fleet) -> bool:
    """Whether the machine stood still for so long that a gateway takes it for silence of its sensors."""
    return 1000 * fleet.longest_stall_s >= MIN_IDLE_GRACE_MS
