"""Readings summed by segment, for the oracle: every sum is of integers, and so exact, in any order."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.verification.truth import NO_SPEED, SegmentTruth

SLOWEST_DKMH: Final = 30
QUANTILES: Final = (0.15, 0.50, 0.85)
SPEED_BITS: Final = 12  # no device reports 409.6 km/h

IntColumn = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings as integer columns [n] of any width."""

    sensor: npt.NDArray[np.integer]
    timestamp_ms: npt.NDArray[np.int64]
    vehicle_count: npt.NDArray[np.integer]
    speed_dkmh: npt.NDArray[np.integer]
    occupancy_permille: npt.NDArray[np.integer]
    delivered_ms: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sensor)

    def rows(self, selected: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Columns":
        return Columns(*(getattr(self, name)[selected] for name in Columns.__dataclass_fields__))

    @staticmethod
    def joined(parts: list["Columns"]) -> "Columns":
        if len(parts) == 1:
            return parts[0]
        return Columns(*(np.concatenate([getattr(p, name) for p in parts]) for name in Columns.__dataclass_fields__))


NOTHING: Final = Columns(*(np.zeros(0, dtype=np.int64) for _ in Columns.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Weighed:
    """What each reading adds to sums, int64 [n]; vehicles without a speed weigh nothing in those of speeds."""

    vehicles: IntColumn
    moving: IntColumn
    speed: IntColumn
    pace: IntColumn
    occupied_ms: IntColumn

    @staticmethod
    def of(readings: Columns, reading_interval_ms: int) -> "Weighed":
        speed = readings.speed_dkmh.astype(np.int64)
        vehicles = readings.vehicle_count.astype(np.int64)
        return Weighed(
            vehicles=vehicles,
            moving=np.where(speed == NO_SPEED, 0, vehicles),
            speed=speed,
            pace=_PACE[np.maximum(speed, 0)],
            occupied_ms=(readings.occupancy_permille.astype(np.int64) * reading_interval_ms + 500) // 1000,
        )


_PACE: Final = np.floor(36_000_000 / np.maximum(np.arange(1 << SPEED_BITS), SLOWEST_DKMH) + 0.5).astype(np.int64)
"""Milliseconds for a kilometre at each speed in tenths of km/h."""


def total(values: IntColumn, place: npt.NDArray[np.integer], places: int) -> IntColumn:
    """Sums by place; exact below 2**53."""
    return np.rint(np.bincount(place, weights=values, minlength=places)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class SegmentSums:
    """Sums of all segments over some time, int64 [segments]; speeds in tenths of km/h, NO_SPEED where there is none."""

    readings: IntColumn
    sensors: IntColumn
    vehicle_count: IntColumn
    speed_sum: IntColumn
    pace_sum: IntColumn
    speed_square_sum: IntColumn
    occupied_ms: IntColumn
    speed_min: IntColumn
    speed_max: IntColumn
    p15: IntColumn
    p50: IntColumn
    p85: IntColumn

    def truths(self, numbers: IntColumn, reading_interval_ms: int) -> dict[int, SegmentTruth]:
        """By segment number, those that have readings."""
        told = np.flatnonzero(self.readings)
        names = SegmentSums.__dataclass_fields__
        columns = {name: getattr(self, name)[told].tolist() for name in names}
        return {
            number: SegmentTruth(
                readings=columns["readings"][row],
                sensors=columns["sensors"][row],
                vehicle_count=columns["vehicle_count"][row],
                speed_sum=columns["speed_sum"][row],
                pace_sum=columns["pace_sum"][row],
                speed_square_sum=columns["speed_square_sum"][row],
                speed_min=_known(columns["speed_min"][row]),
                speed_max=_known(columns["speed_max"][row]),
                occupied_ms=columns["occupied_ms"][row],
                observed_ms=columns["readings"][row] * reading_interval_ms,
                p15_kmh=_kmh(columns["p15"][row]),
                p50_kmh=_kmh(columns["p50"][row]),
                p85_kmh=_kmh(columns["p85"][row]),
            )
            for row, number in enumerate(numbers[told].tolist())
        }


def sum_by_segment(
    readings: Columns, place_of_sensor: npt.NDArray[np.intp], places: int, reading_interval_ms: int
) -> SegmentSums:
    """Sums of the readings by the place of their sensor's segment; of speeds also extremes and order statistics."""
    place = place_of_sensor[readings.sensor]
    each = Weighed.of(readings, reading_interval_ms)
    seen = np.zeros(len(place_of_sensor), dtype=bool)
    seen[readings.sensor] = True
    # One entry a vehicle that has a speed, ordered by segment and, within it, by speed.
    moves = np.flatnonzero(each.moving)
    keys = (place[moves].astype(np.int64) << SPEED_BITS) | each.speed[moves]
    vehicles = np.sort(np.repeat(keys, each.moving[moves])) & ((1 << SPEED_BITS) - 1)
    count = total(each.moving, place, places)
    first = np.cumsum(count) - count
    moved = np.flatnonzero(count)

    def at(q: float) -> IntColumn:
        found = np.full(places, NO_SPEED, dtype=np.int64)
        found[moved] = vehicles[first[moved] + np.floor(q * (count[moved] - 1)).astype(np.int64)]
        return found

    return SegmentSums(
        readings=np.bincount(place, minlength=places),
        sensors=np.bincount(place_of_sensor[np.flatnonzero(seen)], minlength=places),
        vehicle_count=total(each.vehicles, place, places),
        speed_sum=total(each.moving * each.speed, place, places),
        pace_sum=total(each.moving * each.pace, place, places),
        speed_square_sum=total(each.moving * each.speed**2, place, places),
        occupied_ms=total(each.occupied_ms, place, places),
        speed_min=at(0.0),
        speed_max=at(1.0),
        p15=at(QUANTILES[0]),
        p50=at(QUANTILES[1]),
        p85=at(QUANTILES[2]),
    )


class LongSums:
    """As `sum_by_segment`, of readings that are never together in memory; 16 kB a segment."""

    def __init__(self, place_of_sensor: npt.NDArray[np.intp], places: int) -> None:
        self._totals = np.zeros((6, places), dtype=np.int64)
        self._vehicles = np.zeros((places, 1 << SPEED_BITS), dtype=np.int32)  # by speed
        self._seen = np.zeros(len(place_of_sensor), dtype=bool)
        self._place_of_sensor = place_of_sensor

    def add(self, readings: Columns, reading_interval_ms: int) -> None:
        place, places = self._place_of_sensor[readings.sensor], len(self._vehicles)
        each = Weighed.of(readings, reading_interval_ms)
        ones = np.ones(len(readings), dtype=np.int64)
        paces, squares = each.moving * each.pace, each.moving * each.speed**2
        added = (ones, each.vehicles, each.moving * each.speed, paces, squares, each.occupied_ms)
        self._totals += np.stack([total(values, place, places) for values in added])
        moves = np.flatnonzero(each.moving)
        np.add.at(self._vehicles, (place[moves], each.speed[moves]), each.moving[moves].astype(np.int32))
        self._seen[readings.sensor] = True

    def sums(self) -> SegmentSums:
        places = len(self._vehicles)
        count = self._vehicles.sum(axis=1, dtype=np.int64)

        def at(q: float) -> IntColumn:
            found = np.full(places, NO_SPEED, dtype=np.int64)
            for place in np.flatnonzero(count).tolist():
                rank = np.floor(q * (count[place] - 1))
                found[place] = np.searchsorted(np.cumsum(self._vehicles[place]), rank, side="right")
            return found

        readings, vehicle_count, speed_sum, pace_sum, speed_square_sum, occupied_ms = self._totals
        sensors = np.bincount(self._place_of_sensor[np.flatnonzero(self._seen)], minlength=places)
        quantiles = [at(q) for q in (0.0, 1.0, *QUANTILES)]
        return SegmentSums(
            readings, sensors, vehicle_count, speed_sum, pace_sum, speed_square_sum, occupied_ms, *quantiles
        )


def _known(speed_dkmh: int) -> int | None:
    return None if speed_dkmh == NO_SPEED else speed_dkmh


def _kmh(speed_dkmh: int) -> float | None:
    return None if speed_dkmh == NO_SPEED else speed_dkmh / 10
