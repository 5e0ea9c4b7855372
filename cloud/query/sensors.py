"""One sensor through time, from the summaries of its gateway. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from roadside.contract.sensors import SensorRecord, SensorSummary


@dataclass(frozen=True, slots=True)
class SensorRow:
    """What one sensor said in [start_ms, end_ms)."""

    gateway: str
    epoch_ms: int
    start_ms: int
    end_ms: int
    record: SensorRecord

    def as_dict(self) -> dict[str, Any]:
        """The row for programs, units in the names."""
        record = self.record
        speed, occupancy = record.average_speed_kmh, record.occupancy
        return {
            "sensor": record.number,
            "gateway": self.gateway,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "readings_accepted": record.readings_accepted,
            "vehicle_count": record.vehicle_count,
            "average_speed_kmh": None if speed is None else round(speed, 1),
            "occupancy": None if occupancy is None else round(occupancy, 4),
            "fault": record.fault,
            "believed": record.fault is None,
        }


def sensor_rows(summaries: Iterable[SensorSummary], sensor: int) -> Iterator[SensorRow]:
    """The rows of one sensor, in the order of the summaries."""
    for summary in summaries:
        for record in summary.sensors:
            if record.number == sensor:
                end_ms = summary.interval_start_ms + summary.interval_ms
                yield SensorRow(summary.gateway, summary.epoch_ms, summary.interval_start_ms, end_ms, record)


def health_since_ms(rows: Iterable[SensorRow]) -> int | None:
    """Start of the newest run of rows with the same health as the last one; None without rows.

    Parameters
    ----------
    rows : the newest last
    """
    since_ms, fault = None, object()
    for row in rows:
        if row.record.fault != fault:
            since_ms, fault = row.start_ms, row.record.fault
    return since_ms
