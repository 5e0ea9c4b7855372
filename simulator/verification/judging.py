"""The verdict on a run: everything that a cloud holds of it against the oracle.

A run asks for it when it has ended, and `verify` whenever it likes; both get it from here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from aggregator.settings import AggregatorSettings
from roadside.contract.sensors import SensorSummary
from roadside.contract.summary import WindowSummary
from simulator.city.layout import City
from simulator.faults.delivery import Readings
from simulator.verification.alerts import AlertVerdict, verify_alerts
from simulator.verification.oracle import Oracle, SegmentFacts, SegmentTruth
from simulator.verification.record import RunRecord
from simulator.verification.sensors import SensorVerdict, verify_sensors
from simulator.verification.windows import READING_INTERVAL_MS, Verdict, starts_by_gateway, verify

FEED_TAIL_S: Final = 2  # in which comes what is under way after the last second of measuring
CORRECTED_MS: Final = 1000 * AggregatorSettings().correction_seconds  # after that a closed window changes no more

StoredWindows = Mapping[tuple[str, int], list[WindowSummary]]
"""By gateway and window start; two epochs of one window are two."""


@dataclass(frozen=True, slots=True)
class TablesVerdict:
    """What the tables hold, against the oracle."""

    windows: Verdict
    sensors: SensorVerdict
    alerts: AlertVerdict


@dataclass(slots=True)
class PartVerdict:
    """What was found in a part of the tables, or in several that follow each other."""

    windows: Verdict = field(default_factory=Verdict)
    sensors: SensorVerdict = field(default_factory=SensorVerdict)

    def add(self, other: "PartVerdict") -> None:
        self.windows.add(other.windows)
        self.sensors.add(other.sensors)


def make_oracle(city: City, *, window_s: int, lateness_ms: int, keeps_hours: bool = True) -> Oracle:
    """An oracle of this city that has been told nothing yet. It keeps readings for as long as gateways correct."""
    segments = list(city.segments())
    return Oracle(
        segments=_segment_facts(city),
        segment_of_sensor=np.repeat([s.number for s in segments], [len(s.sensor_ids) for s in segments]),
        window_ms=window_s * 1000,
        reading_interval_ms=READING_INTERVAL_MS,
        lateness_ms=lateness_ms,
        kept_ms=lateness_ms + CORRECTED_MS,
        keeps_hours=keeps_hours,
    )


def judge_tables(
    record: RunRecord,
    city: City,
    oracle: Oracle,
    windows: StoredWindows,
    sensors: Iterable[SensorSummary],
    events: Iterable[dict[str, Any]],
    *,
    repeated: int = 0,
    earlier: PartVerdict | None = None,
) -> TablesVerdict:
    """Compare windows, summaries of sensors and alerts.

    Alerts are apart whose window lost readings, or got late ones otherwise than planned, on an uncertain gateway; on
    others nothing is excused.

    Parameters
    ----------
    oracle : has been told all readings, and of the exclusions
    events : as systems get them, each once
    earlier : what was found of earlier windows, which the oracle has forgotten; windows and sensors are those after it
    """
    oracle.last_delivery_ms = record.start_ms + 1000 * (record.duration_s + FEED_TAIL_S)
    truth = oracle.windows()
    part = earlier or PartVerdict()
    part.add(
        _judged(
            city,
            oracle,
            truth,
            windows,
            sensors,
            starts_ms=starts_by_gateway(city, truth),
            summary_s=record.sensor_summary_s,
            uncertain=record.uncertain,
            at_risk=record.at_risk,
        )
    )
    verdict = part.windows
    excused = {s.number for g in city.gateways if g.gateway_id in record.uncertain for s in g.segments}
    return TablesVerdict(
        windows=verdict,
        sensors=part.sensors,
        alerts=verify_alerts(
            oracle.alerts(),
            events,
            until_ms=max(truth) + 1000 * record.window_s,
            uncertain={segment: start_ms for segment, start_ms in verdict.unplanned.items() if segment in excused},
            repeated=repeated,
        ),
    )


def judge_part(
    city: City,
    oracle: Oracle,
    windows: StoredWindows,
    sensors: Iterable[SensorSummary],
    *,
    since_ms: int,
    until_ms: int,
    summary_s: int,
    uncertain: Collection[str],
    at_risk: Mapping[str, list[Readings]],
) -> PartVerdict:
    """Compare windows that start in [since_ms, until_ms), and the intervals of sensors that start there.

    Parameters
    ----------
    until_ms : ends an interval of sensors
    uncertain, at_risk : as in RunRecord
    """
    truth = oracle.windows(since_ms, until_ms)
    # The last interval is due as well: the next window begins where it ends.
    starts_ms = {gateway: [*starts, until_ms] for gateway, starts in starts_by_gateway(city, truth).items() if starts}
    return _judged(
        city,
        oracle,
        truth,
        windows,
        sensors,
        starts_ms=defaultdict(list, starts_ms),
        summary_s=summary_s,
        uncertain=uncertain,
        at_risk=at_risk,
    )


def _judged(
    city: City,
    oracle: Oracle,
    truth: Mapping[int, Mapping[int, SegmentTruth]],
    windows: StoredWindows,
    sensors: Iterable[SensorSummary],
    *,
    starts_ms: Mapping[str, Collection[int]],
    summary_s: int,
    uncertain: Collection[str],
    at_risk: Mapping[str, list[Readings]],
) -> PartVerdict:
    return PartVerdict(
        windows=verify(city, truth, windows, at_risk, oracle.late()),
        sensors=verify_sensors(city, oracle, starts_ms, sensors, interval_ms=1000 * summary_s, uncertain=uncertain),
    )


def segments_at_risk(record: RunRecord, city: City) -> set[int]:
    """Numbers of the segments of gateways that may have lost readings."""
    return {s.number for g in city.gateways if record.at_risk.get(g.gateway_id) for s in g.segments}


def _segment_facts(city: City) -> list[SegmentFacts]:
    """What each gateway is configured to know of its segments; a neighbour on another gateway is none."""
    facts = []
    for gateway in city.gateways:
        own = {segment.number for segment in gateway.segments}
        facts += [
            SegmentFacts(
                number=segment.number,
                is_freeway=segment.road_class == "freeway",
                free_flow_kmh=segment.free_flow_kmh,
                downstream=segment.downstream if segment.downstream in own else None,
                has_unseen_lane=len(segment.sensor_ids) < segment.lanes,
            )
            for segment in gateway.segments
        ]
    return facts
