"""The verdict on a run, asked for again: the archive of truth against what its cloud holds now."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cloud.deployment import Deployment
from cloud.playground import Playground
from simulator.city.layout import City, make_city
from simulator.verification.archive import tell
from simulator.verification.gateways import gateway_problems
from simulator.verification.held import Held, read_held
from simulator.verification.judging import TablesVerdict, judge_tables, make_oracle, segments_at_risk
from simulator.verification.lake import Lake, LakeVerdict, verify_lake
from simulator.verification.oracle import Oracle
from simulator.verification.record import RunRecord
from simulator.verification.windows import Finding

AFTERMATH_MS: Final = 3_600_000  # how long after the last reading gateways may still send, as of old backlog

Step = Callable[[str], AbstractContextManager[None]]


class NotOfThisRunError(Exception):
    """The cloud that was found knows nothing of the run; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with what is stored."""

    run: Path
    tables: TablesVerdict
    lake: LakeVerdict
    held: Held
    gateways: int
    gateway_problems: list[str]
    not_compared: list[str]

    @property
    def findings(self) -> list[Finding]:
        return self.held.findings + self.tables.windows.findings

    @property
    def problems(self) -> list[str]:
        """What is wrong besides windows, in words."""
        return [
            *self.held.problems,
            *self.tables.sensors.findings,
            *self.tables.alerts.problems(),
            *self.lake.problems(),
            *self.gateway_problems,
        ]

    @property
    def ok(self) -> bool:
        return not self.findings and not self.problems

    def as_dict(self) -> dict[str, Any]:
        """For programs; figures are named as in `report.json`."""
        windows, sensors, alerts, lake = self.tables.windows, self.tables.sensors, self.tables.alerts, self.lake
        return {
            "ok": self.ok,
            "run": str(self.run),
            "windows_expected": windows.windows_expected,
            "windows_stored": windows.windows_stored,
            "windows_missing": windows.windows_missing,
            "windows_wrong": windows.windows_wrong,
            "windows_unexpected": windows.windows_unexpected,
            "windows_in_crash_second": windows.windows_in_crash_second,
            "windows_contradicting_themselves": len(self.held.findings),
            "sensor_summaries_expected": sensors.expected,
            "sensor_summaries_missing": sensors.missing,
            "sensor_summaries_wrong": sensors.wrong + len(self.held.problems),
            "events_expected": alerts.expected,
            "events_stored": alerts.delivered,
            "events_missing": len(alerts.missing),
            "events_unexpected": len(alerts.unexpected),
            "lake_rows_expected": lake.rows.expected,
            "lake_rows_missing": lake.rows.missing,
            "lake_rows_wrong": lake.rows.wrong,
            "lake_events_missing": len(lake.events_missing),
            "rollup_rows_expected": lake.rollup.expected,
            "rollup_rows_missing": lake.rollup.missing,
            "rollup_rows_wrong": lake.rollup.wrong,
            "gateways_expected": self.gateways,
            "gateways_wrong": len(self.gateway_problems),
            "not_compared": self.not_compared,
            "findings": [asdict(finding) for finding in self.findings],
            "problems": self.problems,
        }


def see_that_it_is_of(run: Path, kept: Playground | None) -> None:
    """Raise NotOfThisRunError unless the local cloud that runs was kept from the run in this folder."""
    if kept is None:
        raise NotOfThisRunError(
            f"no cloud runs that could be compared with the run in {run}: run again with --keep, or name the account "
            "of its stack by AWS_PROFILE"
        )
    if kept.run is None or Path(kept.run) != run.absolute():
        raise NotOfThisRunError(
            f"the local cloud that runs is of {kept.what}, not of the run in {run}: end it (`local down`) and run "
            "again with --keep"
        )


def judge_again(record: RunRecord, run: Path, deployment: Deployment, *, is_its_own: bool, step: Step) -> Judgement:
    """Rebuild the oracle from the archive in the run's folder and compare all that the stack holds with it.

    Parameters
    ----------
    is_its_own : see `read_held`
    step : tells of each step while it goes on

    Raises
    ------
    ArchiveError, CloudError, LocalCloudError, NotOfThisRunError
    """
    with step("rebuild the oracle from the archive"):
        city, oracle = _rebuild(record, run)
        truth = oracle.windows()
    with step("read what is stored"):
        until_ms = record.start_ms + 1000 * record.duration_s + AFTERMATH_MS
        held = read_held(deployment, city, min(truth, default=record.start_ms), until_ms, is_its_own=is_its_own)
    if truth and not any(start_ms in truth for _, start_ms in held.windows):
        raise NotOfThisRunError(
            f"not one window of the run in {run} is stored in the cloud that was found: give the folder of the run "
            "whose cloud it is, or run again with --keep"
        )
    with step("compare the tables with the oracle"):
        tables = judge_tables(record, city, oracle, held.windows, held.sensors, held.events)
    distrusted = {
        finding.gateway for finding in held.findings + tables.windows.findings if record.at_risk.get(finding.gateway)
    }
    with step("compare the lake with the oracle"):
        lake = verify_lake(
            Lake(deployment.client, deployment.outputs),
            oracle.hours(),
            held.windows,
            {event["event_id"] for event in held.events},
            uncertain=segments_at_risk(record, city),
            unknown={s.number for g in city.gateways if g.gateway_id in distrusted for s in g.segments},
            settled=True,
        )
    return Judgement(
        run=run,
        tables=tables,
        lake=lake,
        held=held,
        gateways=len(city.gateways),
        gateway_problems=gateway_problems(city, held.gateways),
        not_compared=[
            f"{gateway}: its hours in the lake and in the rollup, since its killed process may have lost readings, and "
            "of the windows that say which, some are not right"
            for gateway in sorted(distrusted)
        ],
    )


def _rebuild(record: RunRecord, run: Path) -> tuple[City, Oracle]:
    """The city, and an oracle that has been told everything."""
    city = make_city(record.sensors, record.gateways, record.seed)
    oracle = make_oracle(city, window_s=record.window_s, lateness_ms=record.lateness_ms)
    oracle.exclusions = list(record.exclusions)
    tell(run, oracle)
    return city, oracle
