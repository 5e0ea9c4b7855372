"""The windows table against the oracle: what is missing, what is wrong, and how."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from roadside.contract.codec import decode_window
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from simulator.city import City, GatewayPlan
from simulator.delivery import Readings
from simulator.oracle import SegmentTruth

QUANTILES: Final = (("p15_kmh", 0.15), ("p50_kmh", 0.50), ("p85_kmh", 0.85))
SKETCH_ERROR: Final = 0.01
ROUNDING: Final = 1e-9
MAX_FINDINGS: Final = 50

NO_TRUTH: Final = SegmentTruth(0, 0, 0, 0, 0, 0, None, None, 0, 0, None, None, None)

# Name in reports -> (truth, stored). Exact: every sum is of integers.
EXACT: Final[Mapping[str, tuple[Callable[[SegmentTruth], object], Callable[[SegmentSummary], object]]]] = {
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
class Finding:
    """One difference, in words that name the place."""

    gateway: str
    window_start_ms: int
    what: str


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

    def report(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


def stored_windows(table: Any) -> dict[tuple[str, int], list[WindowSummary]]:
    """All items of the windows table (a boto3 resource) by gateway and window start, one a gateway's epoch."""
    windows: dict[tuple[str, int], list[WindowSummary]] = defaultdict(list)
    for item in _scan(table):
        window = decode_window(bytes(item["b"]))
        windows[window.gateway, window.window_start_ms].append(window)
    return windows


def verify(
    city: City,
    truth: Mapping[int, Mapping[int, SegmentTruth]],
    stored: Mapping[tuple[str, int], list[WindowSummary]],
    at_risk: Mapping[str, list[Readings]],
) -> Verdict:
    """Compare every expected window with what is stored.

    Parameters
    ----------
    truth : by window start and segment number; every gateway must have stored every window of it
    at_risk : by gateway, readings that a killed process may have lost
    """
    verdict = Verdict()
    expected = set()
    for gateway in city.gateways:
        risk = _at_risk_by_window(gateway, at_risk.get(gateway.gateway_id, []), _window_ms(stored))
        for start_ms, segments in sorted(truth.items()):
            if not any(segment.number in segments for segment in gateway.segments):
                continue
            expected.add((gateway.gateway_id, start_ms))
            windows = stored.get((gateway.gateway_id, start_ms))
            if windows is None:
                verdict.windows_missing += 1
                verdict.report(Finding(gateway.gateway_id, start_ms, "the window is not in the table"))
            else:
                verdict.windows_stored += 1
                _compare(verdict, gateway, start_ms, segments, windows, risk)
    verdict.windows_expected = len(expected)
    for name, start_ms in sorted(set(stored) - expected):
        if any(segment.readings_accepted for window in stored[name, start_ms] for segment in window.segments):
            verdict.windows_unexpected += 1
            verdict.report(Finding(name, start_ms, "the table holds a window that no reading belongs to"))
    return verdict


def _compare(
    verdict: Verdict,
    gateway: GatewayPlan,
    start_ms: int,
    truth: Mapping[int, SegmentTruth],
    windows: list[WindowSummary],
    risk: Mapping[tuple[int, int], int],
) -> None:
    differences = []
    lost = 0
    for segment in gateway.segments:
        told = _merged(
            [summary for window in windows for summary in window.segments if summary.number == segment.number]
        )
        expected = truth.get(segment.number, NO_TRUTH)
        verdict.readings_accepted += told.readings_accepted
        verdict.readings_duplicate += told.readings_duplicate
        verdict.readings_late += told.readings_late
        may_miss = risk.get((start_ms, segment.number), 0)
        missing = expected.readings - told.readings_accepted
        if 0 < missing <= may_miss and told.vehicle_count <= expected.vehicle_count:
            lost += missing
            continue
        found = _differences(expected, told)
        if found:
            differences.append(f"{segment.segment_id}: {'; '.join(found)}")
    if differences:
        verdict.windows_wrong += 1
        verdict.report(Finding(gateway.gateway_id, start_ms, " | ".join(differences[:3])))
    elif lost:
        verdict.windows_in_crash_second += 1
        verdict.readings_lost_in_crash += lost


def _differences(expected: SegmentTruth, told: SegmentSummary) -> list[str]:
    found = [
        f"{name} is {of_told(told)}, should be {of_truth(expected)}"
        for name, (of_truth, of_told) in EXACT.items()
        if of_truth(expected) != of_told(told)
    ]
    for name, q in QUANTILES:
        exact: float | None = getattr(expected, name)
        sketched = told.speed_quantile_kmh(q)
        if exact is None or sketched is None:
            if exact != sketched:
                found.append(f"{name} is {sketched}, should be {exact}")
        elif abs(sketched - exact) > SKETCH_ERROR * exact * (1 + ROUNDING):
            found.append(f"{name} is {sketched:.2f}, more than 1 % from {exact:.2f}")
    return found


def _merged(summaries: list[SegmentSummary]) -> SegmentSummary:
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


def _at_risk_by_window(gateway: GatewayPlan, at_risk: Iterable[Readings], window_ms: int) -> dict[tuple[int, int], int]:
    """How many readings of each window start and segment number may be lost."""
    segment_of = {
        segment.first_sensor_number + place: segment.number
        for segment in gateway.segments
        for place in range(len(segment.sensor_ids))
    }
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for readings in at_risk:
        for sensor, timestamp_ms in zip(readings.sensor.tolist(), readings.timestamp_ms.tolist(), strict=True):
            counts[timestamp_ms - timestamp_ms % window_ms, segment_of[sensor]] += 1
    return counts


def _window_ms(stored: Mapping[tuple[str, int], list[WindowSummary]]) -> int:
    return next((windows[0].window_ms for windows in stored.values()), 1)


def _scan(table: Any) -> Iterable[Mapping[str, Any]]:
    page = table.scan(ConsistentRead=True)
    yield from page["Items"]
    while "LastEvaluatedKey" in page:
        page = table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
        yield from page["Items"]
