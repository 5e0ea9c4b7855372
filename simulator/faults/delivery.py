"""What happens to readings between a sensor and its gateway: repeats, detours, delays and rubbish.

Faults are data: shares of readings, and delays in whole seconds. The plan of a second is a pure function of the seed,
so the oracle can be told when each reading was due at its gateway.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.city.traffic import SensorTick

NO_SPEED: Final = -1
IMPOSSIBLE_OCCUPANCY_PERMILLE: Final = 1500

IntColumn = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DeliveryFaults:
    """Shares of all readings, 0 to 1.

    duplicate_share : sent a second time, a second later
    disordered_share : a second late, still on time for its window
    late_share : `late_s` seconds late, after its window may have closed
    invalid_share : additional readings with an impossible occupancy
    """

    duplicate_share: float = 0.01
    disordered_share: float = 0.01
    late_share: float = 0.0005
    late_s: tuple[int, int] = (5, 8)
    invalid_share: float = 0.0002


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of the whole city as columns, int64 [n], in the order of sending."""

    sensor: IntColumn
    timestamp_ms: IntColumn
    vehicle_count: IntColumn
    speed_dkmh: IntColumn
    occupancy_permille: IntColumn

    def __len__(self) -> int:
        return len(self.sensor)

    def rows(self, selected: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Readings":
        return Readings(*(getattr(self, name)[selected] for name in Readings.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Second:
    """What one second of sensing brings: valid readings with the second each is delivered in, and extra traffic."""

    valid: Readings
    delivered_second: IntColumn
    duplicates: Readings  # repeated in the next second
    invalid: Readings  # sent in this second

    def of_sensors(self, chosen: npt.NDArray[np.bool_]) -> "Second":
        """The same of some sensors alone, bool [sensors]."""
        rows = np.flatnonzero(chosen[self.valid.sensor])
        return Second(
            valid=self.valid.rows(rows),
            delivered_second=self.delivered_second[rows],
            duplicates=self.duplicates.rows(chosen[self.duplicates.sensor]),
            invalid=self.invalid.rows(chosen[self.invalid.sensor]),
        )


class Delivery:
    """Plans the delivery of a run's readings.

    Parameters
    ----------
    start_ms : epoch milliseconds of second 0
    seconds : length of the run; what would come more than two seconds after its end comes then
    window_s, lateness_s : a late reading keeps clear of the second in which its window closes, so that it is beyond
        doubt on which side it falls
    """

    def __init__(
        self, faults: DeliveryFaults, seed: int, start_ms: int, seconds: int, window_s: int, lateness_s: int
    ) -> None:
        self._faults = faults
        self._rng = np.random.default_rng([seed, 3])
        self._start_ms = start_ms
        self._last_second = seconds + 1
        self._window_s = window_s
        self._lateness_s = lateness_s

    def plan(self, tick: SensorTick) -> Second:
        """Plan the delivery of one tick's readings."""
        n = len(tick.offset_ms)
        speed = np.where(np.isnan(tick.speed_kmh), NO_SPEED, np.rint(np.nan_to_num(tick.speed_kmh) * 10))
        valid = Readings(
            sensor=np.arange(n, dtype=np.int64),
            timestamp_ms=self._start_ms + 1000 * tick.second + tick.offset_ms,
            vehicle_count=tick.vehicle_count.astype(np.int64),
            speed_dkmh=speed.astype(np.int64),
            occupancy_permille=np.rint(tick.occupancy * 1000).astype(np.int64),
        )
        lot = self._rng.random(n)
        delivered = np.full(n, tick.second, dtype=np.int64)
        late = lot < self._faults.late_share
        low, high = self._faults.late_s
        delivered[late] += self._rng.integers(low, high + 1, int(late.sum()))
        disordered = (lot >= self._faults.late_share) & (lot < self._faults.late_share + self._faults.disordered_share)
        delivered[disordered] += 1
        delivered = np.minimum(delivered, self._last_second)
        delivered[late] += self._is_closing_second(valid.timestamp_ms[late], delivered[late])
        repeated = self._rng.random(n) < self._faults.duplicate_share
        invalid = valid.rows(np.flatnonzero(self._rng.random(n) < self._faults.invalid_share))
        return Second(
            valid=valid,
            delivered_second=delivered,
            duplicates=valid.rows(np.flatnonzero(repeated & ~late & ~disordered)),
            invalid=Readings(
                invalid.sensor,
                invalid.timestamp_ms,
                invalid.vehicle_count,
                invalid.speed_dkmh,
                np.full(len(invalid), IMPOSSIBLE_OCCUPANCY_PERMILLE, dtype=np.int64),
            ),
        )

    def _is_closing_second(self, timestamp_ms: IntColumn, delivered_second: IntColumn) -> IntColumn:
        window_ms = self._window_s * 1000
        end_second = ((timestamp_ms // window_ms + 1) * window_ms - self._start_ms) // 1000
        closing: IntColumn = (delivered_second == end_second + self._lateness_s).astype(np.int64)
        return closing
