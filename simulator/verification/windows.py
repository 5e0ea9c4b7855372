"""The windows table against the oracle: what is missing, what is wrong, and how.

The oracle knows windows of one length. A gateway that could not send for long has merged some into coarser ones; such a
window is compared with the sum of the truth over its span. Quantiles do not add, so of those it is not asked.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby, pairwise
from typing import Any, Final

from roadside.contract.codec import decode_window
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from simulator.city.layout import City, GatewayPlan
from simulator.faults.delivery import NO_SPEED, Readings
from simulator.verification.oracle import SegmentTruth
from simulator.verification.summing import SLOWEST_DKMH

QUANTILES: Final = (("p15_kmh", 0.15), ("p50_kmh", 0.50), ("p85_kmh", 0.85))
SKETCH_ERROR: Final = 0.01
ROUNDING: Final = 1e-9
MAX_FINDINGS: Final = 50
MAX_OCCUPANCY_PERMILLE: Final = 1000
READING_INTERVAL_MS: Final = 1000

NO_TRUTH: Final = SegmentTruth(0, 0, 0, 0, 0, 0, None, None, 0, 0, None, None, None)

# Name in reports -> (truth, stored). Exact: every sum is of integers.
EXACT: Final[Mapping[str, tuple[Callable[[SegmentTruth], int | None], Callable[[SegmentSummary], int | None]]]] = {
    "readings_accepted": (lambda t: t.readings, lambda s: s.readings_accepted),
    "sensors_reporting": (lambda t: t.sensors, lambda s: s.sensors_reporting),
    "vehicle_count": (lambda t: t.vehicle_count, lambda s: s.vehicle_count),
    "speed_sum_dkmh": (lambda t: t.speed_sum, lambda s: s.speed_sum_dkmh),
    "pace_sum_ms_per_km": (lambda t: t.pace_sum, lambda s: s.pace_sum_ms_per_km),
    "speed_square_sum": (lambda t: t.speed_square_sum, lambda s: s.speed_square_sum),
    "speed_min_dkmh": (lambda t: t.speed_min, lambda s: s.speed_min_dkmh),
    "speed_max_dkmh": (lambda t: t.speed_max, lambda s: s.speed_max_dkmh),
    "occupied_ms": (lambda t: t.occupied_ms, lambda s: s.occupied_ms),
    "observed_ms": (lambda t: t.observed_ms, lambda s: s.observed_ms),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not as it should be; `words` says it with the room that the comparison leaves."""

    segment: str
    figure: str
    stored: float | None
    should_be: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one window, in words that name the place, and figure by figure where it is about figures."""

    gateway: str
    window_start_ms: int
    what: str
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Verdict:
    """What the comparison found. `in_crash_second` windows miss only readings that a killed process may lose."""

    windows_expected: int = 0
    windows_stored: int = 0
    windows_missing: int = 0
    windows_wrong: int = 0
    windows_unexpected: int = 0
    windows_in_crash_second: int = 0
    readings_accepted: int = 0
    readings_lost_in_crash: int = 0
    readings_duplicate: int = 0
    readings_late: int = 0
    findings: list[Finding] = field(default_factory=list)
    unplanned: dict[int, int] = field(default_factory=dict)
    """By segment number, start of the first window that lost readings or got them earlier or later than planned."""

    def report(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def add(self, other: "Verdict") -> None:
        """Count in what was found of other windows, which follow these."""
        for name, value in asdict(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        for finding in other.findings:
            self.report(finding)
        self.unplanned = other.unplanned | self.unplanned


def stored_windows(table: Any) -> dict[tuple[str, int], list[WindowSummary]]:
    """All items of the windows table (a boto3 resource) by gateway and window start, one a gateway's epoch."""
    return by_place(bytes(item["b"]) for item in scan(table))


def by_place(payloads: Iterable[bytes]) -> dict[tuple[str, int], list[WindowSummary]]:
    """The windows in messages, by gateway and window start."""
    windows: dict[tuple[str, int], list[WindowSummary]] = defaultdict(list)
    for payload in payloads:
        window = decode_window(payload)
        windows[window.gateway, window.window_start_ms].append(window)
    return windows


def starts_by_gateway(city: City, truth: Mapping[int, Mapping[int, SegmentTruth]]) -> dict[str, list[int]]:
    """Starts of the windows that each gateway must have stored: those in which a sensor of its measured, in order."""
    return {
        gateway.gateway_id: [
            start_ms
            for start_ms, segments in sorted(truth.items())
            if any(segment.number in segments for segment in gateway.segments)
        ]
        for gateway in city.gateways
    }


def verify(
    city: City,
    truth: Mapping[int, Mapping[int, SegmentTruth]],
    stored: Mapping[tuple[str, int], list[WindowSummary]],
    at_risk: Mapping[str, list[Readings]],
    planned_late: Mapping[tuple[int, int], int] | None = None,
) -> Verdict:
    """Compare every expected window with what is stored.

    Parameters
    ----------
    truth : by window start and segment number; every gateway must have stored every window of it
    at_risk : by gateway, readings that a killed process may have lost
    planned_late : by window start and segment number, readings that were to come after their window had closed
    """
    verdict = Verdict()
    window_ms = min((window.window_ms for windows in stored.values() for window in windows), default=1)
    of_gateway: dict[str, list[WindowSummary]] = defaultdict(list)
    for (name, _), windows in stored.items():
        of_gateway[name] += windows
    starts_ms = starts_by_gateway(city, truth)
    for gateway in city.gateways:
        risk = _at_risk_by_window(gateway, at_risk.get(gateway.gateway_id, []), window_ms)
        expected = starts_ms[gateway.gateway_id]
        verdict.windows_expected += len(expected)
        covered = set()
        for span in _spans(of_gateway.pop(gateway.gateway_id, [])):
            starts = [start_ms for start_ms in expected if span.start_ms <= start_ms < span.end_ms]
            covered |= set(starts)
            if starts:
                _compare(verdict, gateway, span, starts, truth, risk, planned_late or {})
            else:
                _report_unexpected(verdict, gateway.gateway_id, span)
        verdict.windows_stored += len(covered)
        for start_ms in sorted(set(expected) - covered):
            verdict.windows_missing += 1
            verdict.report(Finding(gateway.gateway_id, start_ms, "the window is not in the table"))
    for name, windows in sorted(of_gateway.items()):
        for span in _spans(windows):
            _report_unexpected(verdict, name, span)
    return verdict


@dataclass(slots=True)
class _Span:
    """Windows of one gateway that overlap, and the time that they cover: one window, or several epochs' of the same."""

    start_ms: int
    end_ms: int
    windows: list[WindowSummary]

    def overlaps_itself(self) -> bool:
        """Whether two windows of one epoch cover the same time, and so perhaps the same readings."""
        by_epoch = sorted(self.windows, key=lambda window: (window.epoch_ms, window.window_start_ms))
        return any(
            earlier.epoch_ms == later.epoch_ms and later.window_start_ms < earlier.window_end_ms
            for earlier, later in pairwise(by_epoch)
        )


def _spans(windows: Iterable[WindowSummary]) -> list[_Span]:
    spans: list[_Span] = []
    for window in sorted(windows, key=lambda window: window.window_start_ms):
        if spans and window.window_start_ms < spans[-1].end_ms:
            spans[-1].windows.append(window)
            spans[-1].end_ms = max(spans[-1].end_ms, window.window_end_ms)
        else:
            spans.append(_Span(window.window_start_ms, window.window_end_ms, [window]))
    return spans


def _report_unexpected(verdict: Verdict, name: str, span: _Span) -> None:
    if any(segment.readings_accepted for window in span.windows for segment in window.segments):
        verdict.windows_unexpected += 1
        verdict.report(Finding(name, span.start_ms, "the table holds a window that no reading belongs to"))


def _compare(
    verdict: Verdict,
    gateway: GatewayPlan,
    span: _Span,
    starts: list[int],
    truth: Mapping[int, Mapping[int, SegmentTruth]],
    risk: Mapping[tuple[int, int], "_Risk"],
    planned_late: Mapping[tuple[int, int], int],
) -> None:
    """`starts` are those of the oracle's windows within the span."""
    differences: list[Difference] = []
    lost = 0
    for segment in gateway.segments:
        number = segment.number
        told = merged_segments(
            [summary for window in span.windows for summary in window.segments if summary.number == number]
        )
        expected = _added([truth[start_ms].get(number, NO_TRUTH) for start_ms in starts])
        verdict.readings_accepted += told.readings_accepted
        verdict.readings_duplicate += told.readings_duplicate
        verdict.readings_late += told.readings_late
        missing = expected.readings - told.readings_accepted
        if missing or told.readings_late != sum(planned_late.get((start_ms, number), 0) for start_ms in starts):
            verdict.unplanned.setdefault(number, span.start_ms)
        may_miss = _Risk()
        for start_ms in starts:
            may_miss.add_all(risk.get((start_ms, number), _Risk()))
        if missing > 0 and may_miss.readings:
            found = may_miss.differences(segment.segment_id, expected, told)
            lost += 0 if found else missing
        else:
            found = _differences(segment.segment_id, expected, told)
            found += _quantile_differences(segment.segment_id, expected, told) if len(starts) == 1 else []
        differences += found
    if differences or span.overlaps_itself():
        verdict.windows_wrong += 1
        words = ["two windows of one epoch overlap"] if span.overlaps_itself() else []
        for segment_id, found_there in groupby(differences, key=lambda difference: difference.segment):
            words.append(f"{segment_id}: {'; '.join(difference.words for difference in found_there)}")
        verdict.report(Finding(gateway.gateway_id, span.start_ms, " | ".join(words[:3]), tuple(differences)))
    elif lost:
        verdict.windows_in_crash_second += 1
        verdict.readings_lost_in_crash += lost


def _differences(segment: str, expected: SegmentTruth, told: SegmentSummary) -> list[Difference]:
    return [
        _difference(segment, name, of_told(told), of_truth(expected))
        for name, (of_truth, of_told) in EXACT.items()
        if of_truth(expected) != of_told(told)
    ]


def _difference(segment: str, name: str, stored: float | None, should_be: float | None) -> Difference:
    return Difference(segment, name, stored, should_be, f"{name} is {stored}, should be {should_be}")


def _quantile_differences(segment: str, expected: SegmentTruth, told: SegmentSummary) -> list[Difference]:
    found = []
    for name, q in QUANTILES:
        exact: float | None = getattr(expected, name)
        sketched = told.speed_quantile_kmh(q)
        if exact is None or sketched is None:
            if exact != sketched:
                found.append(_difference(segment, name, sketched, exact))
        elif abs(sketched - exact) > SKETCH_ERROR * exact * (1 + ROUNDING):
            words = f"{name} is {sketched:.2f}, more than 1 % from {exact:.2f}"
            found.append(Difference(segment, name, round(sketched, 2), exact, words))
    return found


def _added(truths: list[SegmentTruth]) -> SegmentTruth:
    """The truth over windows that follow each other; of several no quantile is known."""
    if len(truths) == 1:
        return truths[0]

    def total(name: str) -> int:
        return sum(getattr(truth, name) for truth in truths)

    return SegmentTruth(
        readings=total("readings"),
        sensors=max((truth.sensors for truth in truths), default=0),
        vehicle_count=total("vehicle_count"),
        speed_sum=total("speed_sum"),
        pace_sum=total("pace_sum"),
        speed_square_sum=total("speed_square_sum"),
        speed_min=min((truth.speed_min for truth in truths if truth.speed_min is not None), default=None),
        speed_max=max((truth.speed_max for truth in truths if truth.speed_max is not None), default=None),
        occupied_ms=total("occupied_ms"),
        observed_ms=total("observed_ms"),
        p15_kmh=None,
        p50_kmh=None,
        p85_kmh=None,
    )


def merged_segments(summaries: list[SegmentSummary]) -> SegmentSummary:
    """Summaries of one segment from several epochs, whose readings are disjoint, as one."""
    if len(summaries) == 1:
        return summaries[0]
    sketch = SpeedSketch()
    for summary in summaries:
        sketch = sketch.merge(summary.sketch)

    def total(name: str) -> int:
        return sum(getattr(summary, name) for summary in summaries)

    minima = [s.speed_min_dkmh for s in summaries if s.speed_min_dkmh is not None]
    maxima = [s.speed_max_dkmh for s in summaries if s.speed_max_dkmh is not None]
    return SegmentSummary(
        number=summaries[0].number if summaries else 0,
        sketch=sketch,
        speed_sum_dkmh=total("speed_sum_dkmh"),
        pace_sum_ms_per_km=total("pace_sum_ms_per_km"),
        speed_square_sum=total("speed_square_sum"),
        speed_min_dkmh=min(minima, default=None),
        speed_max_dkmh=max(maxima, default=None),
        occupied_ms=total("occupied_ms"),
        observed_ms=total("observed_ms"),
        sensors_reporting=max((s.sensors_reporting for s in summaries), default=0),
        readings_accepted=total("readings_accepted"),
        readings_duplicate=total("readings_duplicate"),
        readings_late=total("readings_late"),
    )


@dataclass(slots=True)
class _Risk:
    """What the readings at risk in one window of a segment add up to: so much may be missing, and no more."""

    readings: int = 0
    vehicle_count: int = 0
    speed_sum_dkmh: int = 0
    speed_square_sum: int = 0
    pace_sum_ms_per_km: int = 0
    occupied_ms: int = 0
    observed_ms: int = 0

    def add(self, vehicles: int, speed_dkmh: int, occupancy_permille: int) -> None:
        self.readings += 1
        self.vehicle_count += vehicles
        self.occupied_ms += occupancy_permille * READING_INTERVAL_MS // 1000
        self.observed_ms += READING_INTERVAL_MS
        if speed_dkmh != NO_SPEED:
            self.speed_sum_dkmh += vehicles * speed_dkmh
            self.speed_square_sum += vehicles * speed_dkmh**2
            self.pace_sum_ms_per_km += vehicles * math.floor(36_000_000 / max(speed_dkmh, SLOWEST_DKMH) + 0.5)

    def add_all(self, other: "_Risk") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def differences(self, segment: str, expected: SegmentTruth, told: SegmentSummary) -> list[Difference]:
        found = []
        for name, truth, stored, may_miss in (
            ("readings_accepted", expected.readings, told.readings_accepted, self.readings),
            ("vehicle_count", expected.vehicle_count, told.vehicle_count, self.vehicle_count),
            ("speed_sum_dkmh", expected.speed_sum, told.speed_sum_dkmh, self.speed_sum_dkmh),
            ("speed_square_sum", expected.speed_square_sum, told.speed_square_sum, self.speed_square_sum),
            ("pace_sum_ms_per_km", expected.pace_sum, told.pace_sum_ms_per_km, self.pace_sum_ms_per_km),
            ("occupied_ms", expected.occupied_ms, told.occupied_ms, self.occupied_ms),
            ("observed_ms", expected.observed_ms, told.observed_ms, self.observed_ms),
        ):
            if not truth - may_miss <= stored <= truth:
                words = f"{name} is {stored}, should be {truth - may_miss} to {truth}"
                found.append(Difference(segment, name, stored, truth, words))
        return found


def _at_risk_by_window(
    gateway: GatewayPlan, at_risk: Iterable[Readings], window_ms: int
) -> dict[tuple[int, int], _Risk]:
    """What may be lost of each window start and segment number. A reading that was told twice is at risk once."""
    segment_of = {
        segment.first_sensor_number + place: segment.number
        for segment in gateway.segments
        for place in range(len(segment.sensor_ids))
    }
    rows = {
        row
        for readings in at_risk
        for row in zip(
            readings.sensor.tolist(),
            readings.timestamp_ms.tolist(),
            readings.vehicle_count.tolist(),
            readings.speed_dkmh.tolist(),
            readings.occupancy_permille.tolist(),
            strict=True,
        )
        if row[-1] <= MAX_OCCUPANCY_PERMILLE  # others are refused in any case
    }
    risks: dict[tuple[int, int], _Risk] = defaultdict(_Risk)
    for sensor, timestamp_ms, vehicles, speed_dkmh, occupancy_permille in rows:
        start_ms = timestamp_ms - timestamp_ms % window_ms
        risks[start_ms, segment_of[sensor]].add(vehicles, speed_dkmh, occupancy_permille)
    return risks


def scan(table: Any) -> Iterable[Mapping[str, Any]]:
    page = table.scan(ConsistentRead=True)
    yield from page["Items"]
    while "LastEvaluatedKey" in page:
        page = table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
        yield from page["Items"]
