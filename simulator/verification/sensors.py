"""The sensors table against the oracle: which intervals are missing, and which sums are wrong."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from roadside.contract.sensors import SensorSummary, decode_sensors
from simulator.city.layout import City, GatewayPlan
from simulator.verification.oracle import Oracle, SensorTruth
from simulator.verification.windows import scan

MAX_FINDINGS: Final = 20


@dataclass(slots=True)
class SensorVerdict:
    """What the comparison found; summaries are counted by gateway and interval, their parts together."""

    expected: int = 0
    stored: int = 0
    missing: int = 0
    wrong: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.missing and not self.wrong

    def report(self, finding: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def add(self, other: "SensorVerdict") -> None:
        """Count in what was found of other intervals."""
        self.expected += other.expected
        self.stored += other.stored
        self.missing += other.missing
        self.wrong += other.wrong
        for finding in other.findings:
            self.report(finding)


def stored_sensors(table: Any) -> list[SensorSummary]:
    """All items of the sensors table (a boto3 resource)."""
    return [decode_sensors(bytes(item["b"])) for item in scan(table)]


def due_ends_ms(starts_ms: Collection[int], interval_ms: int) -> range:
    """Ends of the intervals of which a summary is due, given the starts of the windows with readings."""
    if not starts_ms:
        return range(0)
    return range(min(starts_ms) // interval_ms * interval_ms + interval_ms, max(starts_ms) + 1, interval_ms)


def verify_sensors(
    city: City,
    oracle: Oracle,
    starts_ms: Mapping[str, Collection[int]],
    stored: Iterable[SensorSummary],
    *,
    interval_ms: int,
    uncertain: Collection[str],
) -> SensorVerdict:
    """Compare the summaries of every interval that has ended with what its sensors said.

    Readings that were to be late may be in a summary or not, so its sums lie between those of what was to be on time
    and those of all. Of gateways that are `uncertain`, since they were killed or stood still, some may be missing.

    Parameters
    ----------
    starts_ms : of the windows with readings, by gateway
    interval_ms : as the gateways are configured
    """
    verdict = SensorVerdict()
    spans: Mapping[tuple[str, int, int], list[SensorSummary]] = defaultdict(list)
    for summary in stored:
        spans[summary.gateway, summary.interval_start_ms, summary.interval_start_ms + summary.interval_ms].append(
            summary
        )
    truths: dict[tuple[int, int], tuple[SensorTruth, SensorTruth]] = {}
    for gateway in city.gateways:
        own = {(start, end): parts for (name, start, end), parts in spans.items() if name == gateway.gateway_id}
        for end_ms in due_ends_ms(starts_ms[gateway.gateway_id], interval_ms):
            verdict.expected += 1
            if not any(end == end_ms for _, end in own):
                verdict.missing += 1
                verdict.report(f"{gateway.gateway_id}: no summary of the sensors up to {end_ms}")
        for (start_ms, end_ms), parts in sorted(own.items()):
            verdict.stored += 1
            if (start_ms, end_ms) not in truths:
                truths[start_ms, end_ms] = oracle.sensors(start_ms, end_ms)
            differences = _differences(gateway, parts, truths[start_ms, end_ms], gateway.gateway_id in uncertain)
            if differences:
                verdict.wrong += 1
                verdict.report(f"{gateway.gateway_id}, sensors up to {end_ms}: {'; '.join(differences[:3])}")
    return verdict


def _differences(
    gateway: GatewayPlan, parts: list[SensorSummary], truth: tuple[SensorTruth, SensorTruth], uncertain: bool
) -> list[str]:
    told = {sensor.number: sensor for part in parts for sensor in part.sensors}
    numbers = {
        segment.first_sensor_number + place for segment in gateway.segments for place in range(len(segment.sensor_ids))
    }
    if told.keys() != numbers:
        return [f"{len(numbers ^ told.keys())} sensors too many or too few"]
    on_time, everything = truth
    found = []
    for number, sensor in sorted(told.items()):
        for name in SensorTruth.__dataclass_fields__:
            least = 0 if uncertain else int(getattr(on_time, name)[number])
            most = int(getattr(everything, name)[number])
            if not least <= getattr(sensor, name) <= most:
                found.append(f"{name} of sensor {number} is {getattr(sensor, name)}, should be {least} to {most}")
    return found
