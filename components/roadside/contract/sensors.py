"""What a gateway says of its sensors one by one, every few minutes: values, and messages as bytes.

Sums, so that summaries of neighbouring intervals add. A gateway with many sensors tells of them in several messages.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError as ProtobufError

from roadside.contract import messages_pb2 as pb
from roadside.contract import sketch_bins
from roadside.contract.errors import ContractError, DecodeError
from roadside.contract.event_fields import SensorFaultName
from roadside.contract.summary import MAX_INTEGER, MAX_UINT32, SCHEMA
from roadside.contract.wire import deflate, fill_columns, inflate, parse, rows

MAX_SENSORS_PER_MESSAGE: Final = 250  # at most 25 bytes each, so that a message stays below 7,000 bytes
MAX_PARTS: Final = 1000

FAULTS: Final[tuple[SensorFaultName | None, ...]] = (
    None, "silent", "chatter", "stuck_on", "constant", "dead", "occupancy_scale", "undercount",
)  # fmt: skip
"""What the numbers of the column `fault` stand for."""

_LEAST_PACE: Final = sketch_bins.pace_ms_per_km(sketch_bins.MAX_SPEED_DKMH)
_GREATEST_PACE: Final = sketch_bins.pace_ms_per_km(0)


@dataclass(frozen=True, slots=True)
class SensorRecord:
    """One sensor in one interval.

    Parameters
    ----------
    number : city-wide
    readings_accepted, vehicle_count, vehicles_without_speed : counts
    pace_sum_ms_per_km : over the vehicles with a speed
    occupied_ms, observed_ms : time covered, and time for which that was measured
    fault : what is wrong with it at the interval's end; None while it is believed
    """

    number: int
    readings_accepted: int = 0
    vehicle_count: int = 0
    vehicles_without_speed: int = 0
    pace_sum_ms_per_km: int = 0
    occupied_ms: int = 0
    observed_ms: int = 0
    fault: SensorFaultName | None = None

    @property
    def average_speed_kmh(self) -> float | None:
        """Space mean (harmonic mean over vehicles); None, never 0, where no vehicle passed."""
        moving = self.vehicle_count - self.vehicles_without_speed
        return moving * 3_600_000 / self.pace_sum_ms_per_km if moving else None

    @property
    def occupancy(self) -> float | None:
        """Share of the observed time in which the zone was covered; None where nothing was observed."""
        return self.occupied_ms / self.observed_ms if self.observed_ms else None


@dataclass(frozen=True, slots=True)
class SensorSummary:
    """Sensors of one gateway over [interval_start_ms, interval_start_ms + interval_ms); part `part` of `part_count`.

    Raises
    ------
    ContractError
        A field that no gateway could have filled in so.
    """

    gateway: str
    epoch_ms: int
    sequence: int
    interval_start_ms: int
    interval_ms: int
    sensors: tuple[SensorRecord, ...]
    part: int = 0
    part_count: int = 1
    reading_interval_ms: int = 1000

    def __post_init__(self) -> None:
        if not self.gateway:
            raise ContractError("gateway", self.gateway, "must name the gateway")
        for field, (least, most) in _RANGES.items():
            if not least <= getattr(self, field) <= most:
                raise ContractError(field, getattr(self, field), f"must be {least} to {most}")
        if self.part >= self.part_count:
            raise ContractError("part", self.part, f"must be below part_count, {self.part_count}")
        numbers = [sensor.number for sensor in self.sensors]
        if any(second <= first for first, second in pairwise(numbers)):
            raise ContractError("sensors", numbers, "sensor numbers must rise")


_RANGES: Final = {
    "epoch_ms": (0, MAX_INTEGER),
    "sequence": (0, MAX_INTEGER),
    "interval_start_ms": (0, MAX_INTEGER),
    "interval_ms": (1, MAX_UINT32),
    "part": (0, MAX_PARTS - 1),
    "part_count": (1, MAX_PARTS),
    "reading_interval_ms": (1, MAX_UINT32),
}


def in_parts(sensors: Sequence[SensorRecord]) -> list[tuple[SensorRecord, ...]]:
    """The sensors as they are spread over messages; no message without a sensor."""
    size = MAX_SENSORS_PER_MESSAGE
    return [tuple(sensors[first : first + size]) for first in range(0, len(sensors), size)]


def encode_sensors(summary: SensorSummary) -> bytes:
    """The summary as a `SensorSummary` message."""
    columns, is_deflated = deflate(_encode_columns(summary).SerializeToString())
    return pb.SensorSummary(
        schema=SCHEMA,
        gateway=summary.gateway,
        epoch_ms=summary.epoch_ms,
        sequence=summary.sequence,
        interval_start_ms=summary.interval_start_ms,
        interval_ms=summary.interval_ms,
        part=summary.part,
        part_count=summary.part_count,
        columns=columns,
        columns_deflated=is_deflated,
    ).SerializeToString()


def decode_sensors(payload: bytes) -> SensorSummary:
    """The summary in `payload`.

    Raises
    ------
    DecodeError
        Bytes that are no such message, or values no gateway could have sent.
    UnsupportedSchemaError
        A layout of the future.
    """
    message = parse(pb.SensorSummary(), payload, "sensors")
    inflated = inflate(message.columns) if message.columns_deflated else message.columns
    columns = pb.SensorColumns()
    try:
        columns.ParseFromString(inflated)
        return SensorSummary(
            gateway=message.gateway,
            epoch_ms=message.epoch_ms,
            sequence=message.sequence,
            interval_start_ms=message.interval_start_ms,
            interval_ms=message.interval_ms,
            sensors=tuple(_decode_sensors(columns, message.interval_ms)),
            part=message.part,
            part_count=message.part_count,
            reading_interval_ms=columns.reading_interval_ms,
        )
    except ProtobufError as error:
        raise DecodeError("columns", inflated[:40], f"are no SensorColumns ({error})") from error
    except DecodeError:
        raise
    except ContractError as error:
        raise DecodeError(error.field, error.value, error.reason) from error


def _encode_columns(summary: SensorSummary) -> pb.SensorColumns:
    sensors, interval_ms = summary.sensors, summary.reading_interval_ms
    columns = pb.SensorColumns(
        sensor_count=len(sensors),
        first_sensor_number=sensors[0].number if sensors else 0,
        reading_interval_ms=interval_ms,
    )
    expected = summary.interval_ms // interval_ms
    values: dict[str, Iterable[int]] = {
        "sensor_number_gap": [0, *(second.number - first.number - 1 for first, second in pairwise(sensors))],
        "readings_accepted_residual": [s.readings_accepted - expected for s in sensors],
        "observed_residual_ms": [s.observed_ms - s.readings_accepted * interval_ms for s in sensors],
        "vehicle_count": [s.vehicle_count for s in sensors],
        "vehicles_without_speed": [s.vehicles_without_speed for s in sensors],
        "pace_sum": [s.pace_sum_ms_per_km for s in sensors],
        "occupied_ms": [s.occupied_ms for s in sensors],
        "fault": [FAULTS.index(s.fault) for s in sensors],
    }
    fill_columns(columns, values)
    return columns


class _Row(NamedTuple):
    """One sensor's values in the columns."""

    sensor_number_gap: int
    readings_accepted_residual: int
    observed_residual_ms: int
    vehicle_count: int
    vehicles_without_speed: int
    pace_sum: int
    occupied_ms: int
    fault: int


def _decode_sensors(columns: pb.SensorColumns, interval_ms: int) -> Iterator[SensorRecord]:
    if columns.sensor_count > MAX_SENSORS_PER_MESSAGE:
        raise DecodeError("sensor_count", columns.sensor_count, f"must be at most {MAX_SENSORS_PER_MESSAGE}")
    if columns.reading_interval_ms == 0:
        raise DecodeError("reading_interval_ms", 0, "must be positive")
    expected = interval_ms // columns.reading_interval_ms
    number = columns.first_sensor_number - 1
    for row in rows(columns, columns.sensor_count, _Row):
        number += 1 + row.sensor_number_gap
        accepted = expected + row.readings_accepted_residual
        if row.fault >= len(FAULTS):
            raise DecodeError("fault", row.fault, f"must be 0 to {len(FAULTS) - 1} in sensor {number}")
        sensor = SensorRecord(
            number=number,
            readings_accepted=accepted,
            vehicle_count=row.vehicle_count,
            vehicles_without_speed=row.vehicles_without_speed,
            pace_sum_ms_per_km=row.pace_sum,
            occupied_ms=row.occupied_ms,
            observed_ms=accepted * columns.reading_interval_ms + row.observed_residual_ms,
            fault=FAULTS[row.fault],
        )
        _refuse_impossible(sensor)
        yield sensor


def _refuse_impossible(sensor: SensorRecord) -> None:
    moving = sensor.vehicle_count - sensor.vehicles_without_speed
    for field, least, value, most in (
        ("number", 0, sensor.number, MAX_UINT32),
        ("readings_accepted", 0, sensor.readings_accepted, MAX_INTEGER),
        ("vehicles_without_speed", 0, sensor.vehicles_without_speed, sensor.vehicle_count),
        ("pace_sum_ms_per_km", moving * _LEAST_PACE, sensor.pace_sum_ms_per_km, moving * _GREATEST_PACE),
        ("observed_ms", 0, sensor.observed_ms, MAX_INTEGER),
        ("occupied_ms", 0, sensor.occupied_ms, sensor.observed_ms),
    ):
        if not least <= value <= most:
            raise DecodeError(field, value, f"must be {least} to {most} in sensor {sensor.number}")
