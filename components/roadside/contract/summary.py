"""What a gateway says of one window, as values: the sums that add, and what follows from them.

Everything additive adds over segments, windows and gateways without error, because every sum is an integer. Means
and percentiles are properties: they are derived where they are wanted and stored nowhere.
"""

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

from roadside.contract import sketch_bins
from roadside.contract.errors import ContractError
from roadside.contract.sketch_bins import DEFAULT_ERROR_PERMILLE

SCHEMA: Final = 1
MAX_INTEGER: Final = (1 << 53) - 1  # the largest that every JSON reader keeps (RFC 7493); instants stay within int64
MAX_UINT32: Final = (1 << 32) - 1
# A reading is 14 bytes in five columns; with the longest source's name a full frame has 6,876 bytes. Nucleus lite
# closes the connection for good over a message of more than about 7,000.
MAX_FRAME_READINGS: Final = 480
MAX_ACK_DELAY_MS: Final = 300_000  # after a live window or summary of sensors was stored, where the cloud gathers acks


class CongestionState(IntEnum):
    """Whether traffic on a segment flows, as judged at the end of a window."""

    UNKNOWN = 0
    FREE = 1
    CONGESTED = 2


@dataclass(frozen=True, slots=True)
class SpeedSketch:
    """Vehicles per speed bin, from the first occupied bin to the last. `sketch_bins` defines the bins."""

    first_bin: int = 0
    counts: tuple[int, ...] = ()

    @property
    def vehicle_count(self) -> int:
        return sum(self.counts)

    def merge(self, other: "SpeedSketch") -> "SpeedSketch":
        """Both sketches' vehicles in one; exact, in any order."""
        if not self.counts or not other.counts:
            return self if self.counts else other
        first = min(self.first_bin, other.first_bin)
        merged = [0] * (max(self.first_bin + len(self.counts), other.first_bin + len(other.counts)) - first)
        for sketch in (self, other):
            for index, count in enumerate(sketch.counts, sketch.first_bin - first):
                merged[index] += count
        return SpeedSketch(first, tuple(merged))


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """One segment in one window. Speeds in dkmh (tenths of km/h), each vehicle weighing one.

    speed_min_dkmh and speed_max_dkmh are None exactly where the sketch is empty. lane_vehicles has the vehicles of each
    lane, None for one that told nothing, where lanes are told at all. Not validated here, because the
    gateway makes these by the dozen from sums it has just taken; whoever decodes is told of any that cannot be.
    """

    number: int
    sketch: SpeedSketch = SpeedSketch()
    vehicles_without_speed: int = 0
    clipped_vehicles: int = 0
    speed_sum_dkmh: int = 0
    pace_sum_ms_per_km: int = 0
    speed_square_sum: int = 0
    speed_min_dkmh: int | None = None
    speed_max_dkmh: int | None = None
    occupied_ms: int = 0
    observed_ms: int = 0
    congestion_level: int | None = None
    congestion_state: CongestionState = CongestionState.UNKNOWN
    sensors_reporting: int = 0
    readings_accepted: int = 0
    readings_duplicate: int = 0
    readings_late: int = 0
    readings_rejected: int = 0
    sensors_excluded: int = 0
    lane_vehicles: tuple[int | None, ...] = ()

    @property
    def vehicle_count(self) -> int:
        return self.sketch.vehicle_count + self.vehicles_without_speed

    @property
    def average_speed_kmh(self) -> float | None:
        """Space mean (harmonic mean over vehicles); None, never 0, where no vehicle passed."""
        if not self.sketch.counts:
            return None
        return self.sketch.vehicle_count * 3_600_000 / self.pace_sum_ms_per_km

    @property
    def occupancy(self) -> float | None:
        """Share of the observed time in which the zones were covered; None where nothing was observed."""
        return self.occupied_ms / self.observed_ms if self.observed_ms else None

    def speed_quantile_kmh(self, q: float, error_permille: int = DEFAULT_ERROR_PERMILLE) -> float | None:
        """Speed below which a share `q` of the vehicles stayed, within the sketch's relative error."""
        return sketch_bins.quantile_kmh(self.sketch.first_bin, self.sketch.counts, q, error_permille)


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Everything one gateway saw in the window [window_start_ms, window_start_ms + window_ms).

    Raises
    ------
    ContractError
        A field that no gateway could have filled in so.
    """

    gateway: str
    epoch_ms: int
    sequence: int
    window_start_ms: int
    window_ms: int
    segments: tuple[SegmentSummary, ...]
    revision: int = 0
    backfill: bool = False
    reading_interval_ms: int = 1000
    sketch_error_permille: int = DEFAULT_ERROR_PERMILLE

    def __post_init__(self) -> None:
        if not self.gateway:
            raise ContractError("gateway", self.gateway, "must name the gateway")
        for field, (least, most) in _WINDOW_RANGES.items():
            if not least <= getattr(self, field) <= most:
                raise ContractError(field, getattr(self, field), f"must be {least} to {most}")
        numbers = [segment.number for segment in self.segments]
        if any(second <= first for first, second in pairwise(numbers)):
            raise ContractError("segments", numbers, "segment numbers must rise")

    @property
    def window_end_ms(self) -> int:
        return self.window_start_ms + self.window_ms


_WINDOW_RANGES: Final = {
    "epoch_ms": (0, MAX_INTEGER),
    "sequence": (0, MAX_INTEGER),
    "window_start_ms": (0, MAX_INTEGER),
    "window_ms": (1, MAX_UINT32),
    "revision": (0, MAX_UINT32),
    "reading_interval_ms": (1, MAX_UINT32),
}


@dataclass(frozen=True, slots=True)
class Ack:
    """The cloud's word on a gateway's messages of one epoch: stored for good, or parked for good with a reason.

    Parameters
    ----------
    gathered : it names all live windows and summaries of sensors that were stored in the last minutes, at most
        MAX_ACK_DELAY_MS after each
    """

    epoch_ms: int
    stored: tuple[int, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    gathered: bool = False


@dataclass(frozen=True, slots=True)
class ReadingFrame:
    """Many readings as columns of little-endian integers; all columns tell of the same number of readings.

    Parameters
    ----------
    source : who packed the frame
    base_ms : instant from which `offset_ms` counts
    sensor_number, offset_ms : uint32 columns
    vehicle_count, speed_dkmh, occupancy_permille : uint16 columns; speed or occupancy 65535 means that there is none

    Raises
    ------
    ContractError
        Columns of unequal lengths, or an instant that is none.
    """

    source: str
    base_ms: int
    sensor_number: bytes
    offset_ms: bytes
    vehicle_count: bytes
    speed_dkmh: bytes
    occupancy_permille: bytes

    NO_SPEED = 0xFFFF

    def __post_init__(self) -> None:
        if not 0 <= self.base_ms <= MAX_INTEGER:
            raise ContractError("base_ms", self.base_ms, f"must be 0 to {MAX_INTEGER}")
        for field, width in _FRAME_COLUMNS.items():
            column: bytes = getattr(self, field)
            if len(column) != width * len(self):
                raise ContractError(
                    field, f"{len(column)} bytes", f"must be {width} bytes for each of {len(self)} readings"
                )
        if len(self.sensor_number) % 4:
            raise ContractError("sensor_number", f"{len(self.sensor_number)} bytes", "must be 4 bytes a reading")

    def __len__(self) -> int:
        return len(self.sensor_number) // 4


_FRAME_COLUMNS = {
    "offset_ms": 4,
    "vehicle_count": 2,
    "speed_dkmh": 2,
    "occupancy_permille": 2,
}
