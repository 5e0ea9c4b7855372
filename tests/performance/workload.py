"""The benchmark's readings: ten minutes of one gateway with 250 sensors, in the order of their arrival.

The columns are drawn exactly as docs/performance.md says, and `published_sha256` proves it: the lines of the published
workload, rebuilt from the same columns, must have its digest. The engines get the same readings in the form of our
contract, which leaves out the segment and the sequence number; which sensor is on which segment they are told
beforehand, as a gateway is.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from roadside.contract.codec import encode_frame
from roadside.contract.summary import ReadingFrame
from roadside.core.registry import Registry, RoadClass, Segment

SENSORS, SEGMENTS, SECONDS, WINDOW_MS = 250, 25, 600, 10_000
START_MS = 1_762_000_000_000
PUBLISHED_SHA256 = "d7ca226cb688d0cb75ffcf9b92716479cd8c57bd683015464981d676fe1d7cec"
MESSAGE_SIZES = (2500, 250)


class Columns(NamedTuple):
    """Readings, one row each; speeds in km/h with one decimal, occupancies as fractions with three."""

    sensor: npt.NDArray[np.int64]
    segment: npt.NDArray[np.int64]
    timestamp_ms: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int64]
    vehicle_count: npt.NDArray[np.int64]
    speed_kmh: npt.NDArray[np.float64]
    occupancy: npt.NDArray[np.float64]

    def rows(self, selected: npt.NDArray[np.intp] | slice) -> "Columns":
        return Columns(*(column[selected] for column in self))


def draw(seconds: int = SECONDS, seed: int = 7) -> Columns:
    """Every sensor once a second; 1 % come twice; each is up to two seconds on its way."""
    random = np.random.default_rng(seed)
    count = SENSORS * seconds
    sensor = np.repeat(np.arange(SENSORS), seconds)
    second = np.tile(np.arange(seconds), SENSORS)
    phase_ms = random.integers(0, 1000, SENSORS)
    timestamp_ms = START_MS + 1000 * second + phase_ms[sensor]
    segment = sensor // (SENSORS // SEGMENTS)
    base_kmh = random.uniform(18, 105, SEGMENTS)
    wave = 1 - 0.45 * (np.sin(timestamp_ms / 97_000 + segment) > 0.8)
    vehicles = random.poisson(0.35 * (1 + segment % 5))
    scatter = np.exp(random.normal(0, 0.12, count))
    speed_kmh = np.round(np.clip(base_kmh[segment] * wave * scatter, 1, 180), 1)
    covered = vehicles * 0.06 / np.maximum(speed_kmh / 40, 0.2) + random.normal(0.01, 0.004, count)
    occupancy = np.round(np.clip(covered, 0, 1), 3)
    again = random.choice(count, count // 100, replace=False)
    delivered = np.concatenate([np.arange(count), again])
    arrival_ms = timestamp_ms[delivered] + random.integers(0, 2000, len(delivered))
    columns = Columns(sensor, segment, timestamp_ms, second, vehicles, speed_kmh, occupancy)
    return columns.rows(delivered[np.argsort(arrival_ms, kind="stable")])


def published_sha256(columns: Columns) -> str:
    """Digest of the readings in the form in which the workload was published."""
    digest = hashlib.sha256()
    for sensor, segment, timestamp_ms, sequence, vehicles, speed_kmh, occupancy in _rows(columns):
        digest.update(
            b'{"sensor_id":"%s","segment_id":"%s","timestamp":%d,"seq":%d,"vehicle_count":%d,"average_speed":%.1f,'
            b'"occupancy":%.3f}\n'
            % (sensor_id(sensor), segment_id(segment), timestamp_ms, sequence, vehicles, speed_kmh, occupancy)
        )
    return digest.hexdigest()


def sensor_id(sensor: int) -> bytes:
    return b"gw000-s%04d" % sensor


def segment_id(segment: int) -> bytes:
    return b"gw000-seg%02d" % segment


def registry(*, in_a_row: bool = False) -> Registry:
    """The gateway's; with `in_a_row` each segment has the next one downstream, as incident detection needs it."""
    per_segment = SENSORS // SEGMENTS
    return Registry(
        Segment(
            segment_id=segment_id(segment).decode(),
            number=segment,
            road_class=RoadClass.FREEWAY,
            free_flow_kmh=100.0,
            lanes=3,
            sensor_ids=tuple(sensor_id(segment * per_segment + place).decode() for place in range(per_segment)),
            first_sensor_number=segment * per_segment,
            downstream=segment + 1 if in_a_row and segment + 1 < SEGMENTS else None,
        )
        for segment in range(SEGMENTS)
    )


def json_readings(columns: Columns) -> list[bytes]:
    """Each reading as it was published, with the speed under our contract's name; the contract lets other keys pass."""
    return [
        b'{"sensor_id":"%s","segment_id":"%s","timestamp":%d,"seq":%d,"vehicle_count":%d,"average_speed_kmh":%.1f,'
        b'"occupancy":%.3f}'
        % (sensor_id(sensor), segment_id(segment), timestamp_ms, sequence, vehicles, speed_kmh, occupancy)
        for sensor, segment, timestamp_ms, sequence, vehicles, speed_kmh, occupancy in _rows(columns)
    ]


def frame(columns: Columns) -> bytes:
    """The readings as a frame of our contract."""
    base_ms = int(columns.timestamp_ms.min())
    return encode_frame(
        ReadingFrame(
            source="bench",
            base_ms=base_ms,
            sensor_number=columns.sensor.astype("<u4").tobytes(),
            offset_ms=(columns.timestamp_ms - base_ms).astype("<u4").tobytes(),
            vehicle_count=columns.vehicle_count.astype("<u2").tobytes(),
            speed_dkmh=np.rint(columns.speed_kmh * 10).astype("<u2").tobytes(),
            occupancy_permille=np.rint(columns.occupancy * 1000).astype("<u2").tobytes(),
        )
    )


def frame_of_nothing() -> bytes:
    return encode_frame(ReadingFrame("bench", START_MS, b"", b"", b"", b"", b""))


def json_messages(columns: Columns, size: int) -> list[bytes]:
    readings = json_readings(columns)
    return [b"[" + b",".join(readings[at : at + size]) + b"]" for at in range(0, len(readings), size)]


def frame_messages(columns: Columns, size: int) -> list[bytes]:
    return [frame(columns.rows(slice(at, at + size))) for at in range(0, len(columns.sensor), size)]


def write(directory: Path, columns: Columns) -> None:
    """The readings in every form that an engine takes them in."""
    (directory / "readings.ndjson").write_bytes(b"".join(line + b"\n" for line in json_readings(columns)))
    sensors = [b"%s,%d\n" % (sensor_id(s), s // (SENSORS // SEGMENTS)) for s in range(SENSORS)]
    (directory / "sensors.csv").write_bytes(b"sensor_id,segment\n" + b"".join(sensors))
    for size in MESSAGE_SIZES:
        write_messages(directory / f"json-{size}.messages", json_messages(columns, size))
        write_messages(directory / f"frames-{size}.messages", frame_messages(columns, size))


def write_messages(path: Path, messages: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(struct.pack("<I", len(message)) + message for message in messages))


def _rows(columns: Columns) -> Iterator[tuple[int, int, int, int, int, float, float]]:
    return zip(*(column.tolist() for column in columns), strict=True)
