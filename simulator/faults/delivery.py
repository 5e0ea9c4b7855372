"""What happens to readings between a sensor and its gateway: loss, repeats, detours, delays, wrong clocks and rubbish.

The plan of a second is a pure function of the seed and the faults, so the oracle can be told when each reading was due
at its gateway, and the account knows of each reading that never got there. Also here: what is on its way to a gateway
without power is lost.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.city.traffic import SensorTick
from simulator.faults.falsifying import Falsifying
from simulator.faults.kinds import Kind
from simulator.faults.schedule import SLICES, Struck, dark_slices

NO_SPEED: Final = -1
IMPOSSIBLE_OCCUPANCY_PERMILLE: Final = 1500
REASONS: Final = ("bad_occupancy", "future", "too_late")
"""Why a gateway is to refuse readings, in its own words."""

IntColumn = npt.NDArray[np.int64]
BoolColumn = npt.NDArray[np.bool_]


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

    def rows(self, selected: npt.NDArray[np.intp] | BoolColumn) -> "Readings":
        return Readings(*(getattr(self, name)[selected] for name in Readings.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Second:
    """What one second of sensing brings: what reaches the gateways, and what does not.

    Attributes
    ----------
    valid : readings that count, with the second each is delivered in
    duplicates : repetitions of some of them, in the next second
    refused : readings that no gateway takes; `refused_as` has the place of each row's reason in REASONS
    made : all readings that the sensors made
    repeated : sensors of the repetitions
    lost : sensors of those and of the repetitions that never get there
    struck : by name of a fault, the sensors of the readings that it struck
    lost_to : likewise, of those that it lost
    """

    valid: Readings
    delivered_second: IntColumn
    duplicates: Readings
    refused: Readings
    refused_second: IntColumn
    refused_as: IntColumn
    made: Readings
    repeated: IntColumn
    lost: IntColumn
    struck: dict[str, IntColumn] = field(default_factory=dict)
    lost_to: dict[str, IntColumn] = field(default_factory=dict)

    def of_sensors(self, chosen: BoolColumn) -> "Second":
        """The same of some sensors alone, bool [sensors]."""
        valid, refused = chosen[self.valid.sensor], chosen[self.refused.sensor]
        return Second(
            valid=self.valid.rows(valid),
            delivered_second=self.delivered_second[valid],
            duplicates=self.duplicates.rows(chosen[self.duplicates.sensor]),
            refused=self.refused.rows(refused),
            refused_second=self.refused_second[refused],
            refused_as=self.refused_as[refused],
            made=self.made.rows(chosen[self.made.sensor]),
            repeated=self.repeated[chosen[self.repeated]],
            lost=self.lost[chosen[self.lost]],
            struck={name: sensors[chosen[sensors]] for name, sensors in self.struck.items()},
            lost_to={name: sensors[chosen[sensors]] for name, sensors in self.lost_to.items()},
        )


class _Draft:
    """The readings of a second while fault after fault is done to them; columns with a row for each sensor."""

    def __init__(
        self, second: int, told: Readings, silent: BoolColumn | None, struck: dict[str, npt.NDArray[np.intp]]
    ) -> None:
        n = len(told)
        self.second = second
        self.told = told
        self.speaks = np.ones(n, dtype=bool) if silent is None else ~silent
        self.delivered = np.full(n, second, dtype=np.int64)
        self.keeps_clear, self.lost, self.repeated, self.impossible = np.zeros((4, n), dtype=bool)
        self.has_wrong_clock = np.zeros(n, dtype=bool)
        self.refused_as = np.zeros(n, dtype=np.int64)  # one more than the place in REASONS, 0 for none
        self.struck: dict[str, IntColumn] = {name: sensors.astype(np.int64) for name, sensors in struck.items()}
        self.lost_to: dict[str, IntColumn] = {}

    def date_anew(self, rows: BoolColumn, skew_ms: int, refused_as: str | None) -> None:
        self.told = replace(self.told, timestamp_ms=self.told.timestamp_ms + skew_ms * rows)
        self.has_wrong_clock |= rows
        if refused_as is None:
            self.keeps_clear |= rows
        else:
            self.refused_as[rows] = 1 + REASONS.index(refused_as)


class Delivery:
    """Plans the delivery of a run's readings.

    Parameters
    ----------
    gateway_of_sensor : int64 [sensors]
    start_ms : epoch milliseconds of second 0
    seconds : length of the run; what would come more than two seconds after its end comes then
    slices : of a second, at whose ends readings are handed over
    window_s, lateness_s : a late reading keeps clear of the second in which its window closes, so that it is beyond
        doubt on which side it falls
    """

    def __init__(
        self,
        struck: Sequence[Struck],
        seed: int,
        gateway_of_sensor: IntColumn,
        start_ms: int,
        seconds: int,
        window_s: int,
        lateness_s: int,
        slices: int = SLICES,
    ) -> None:
        self._struck = [(one, _lot(seed, one)) for one in struck]
        self._falsifying = Falsifying(struck, seed, len(gateway_of_sensor))
        self._gateway_of_sensor = gateway_of_sensor
        self._cuts = [one for one in struck if one.fault.kind is Kind.POWER_CUT]
        self._start_ms = start_ms
        self._last_second = seconds + 1
        self._window_s = window_s
        self._lateness_s = lateness_s
        self._slices = slices

    def plan(self, tick: SensorTick) -> Second:
        """Plan the delivery of one tick's readings."""
        told_tick, silent, struck = self._falsifying.falsify(tick)
        draft = _Draft(tick.second, self._quantised(told_tick), silent, struck)
        for one, rng in self._struck:
            if one.fault.active(tick.second):
                self._strike(draft, one, rng)
        told, clear = draft.told, draft.keeps_clear
        delivered = np.minimum(draft.delivered, self._last_second)
        delivered[clear] += self._is_closing_second(told.timestamp_ms[clear], delivered[clear])
        copies = told.rows(draft.speaks & draft.impossible)
        copies = replace(copies, occupancy_permille=np.full(len(copies), IMPOSSIBLE_OCCUPANCY_PERMILLE, dtype=np.int64))
        there = self._lights_on(told, delivered, draft.speaks & ~draft.lost, draft.lost_to)
        repeated = draft.repeated & there & (draft.refused_as == 0) & (delivered == tick.second)
        again = self._lights_on(told, delivered + 1, repeated, draft.lost_to)
        # Where the reading itself fell into the dark, its repetition is the one that counts.
        alone = again & ~there
        there, again, delivered = there | alone, again & ~alone, delivered + alone
        now = np.full(len(copies), tick.second, dtype=np.int64)
        copies_there = self._lights_on(copies, now, np.ones(len(copies), dtype=bool), draft.lost_to)
        valid, refused = there & (draft.refused_as == 0), there & (draft.refused_as > 0)
        return Second(
            valid=told.rows(valid),
            delivered_second=delivered[valid],
            duplicates=told.rows(again),
            refused=_joined(told.rows(refused), copies.rows(copies_there)),
            refused_second=np.concatenate([delivered[refused], now[copies_there]]),
            refused_as=np.concatenate([draft.refused_as[refused] - 1, now[copies_there] * 0]),
            made=_joined(told.rows(draft.speaks), copies),
            repeated=told.sensor[repeated],
            lost=np.concatenate([told.sensor[:0], *draft.lost_to.values()]),
            struck=draft.struck,
            lost_to=draft.lost_to,
        )

    def _strike(self, draft: "_Draft", one: Struck, rng: np.random.Generator) -> None:
        """Do to the readings of a second what a fault does."""
        fault = one.fault
        if fault.kind is Kind.CLOCK_SKEW:
            hit = draft.speaks & ~draft.has_wrong_clock  # one wrong clock is enough
            if one.sensors is not None:
                hit &= one.sensors
            draft.date_anew(hit, int(fault.numbers["skew_ms"]), fault.refused_as)
        elif fault.numbers.get("share"):
            hit = draft.speaks & (rng.random(len(draft.told)) < fault.numbers["share"])
            if one.sensors is not None:
                hit &= one.sensors
            if fault.kind is Kind.LOSS:
                hit &= ~draft.lost
                draft.lost |= hit
                draft.lost_to[fault.name] = draft.told.sensor[hit]
            elif fault.kind is Kind.DUPLICATES:
                draft.repeated |= hit
            elif fault.kind is Kind.POISON:
                draft.impossible |= hit
            else:
                hit &= draft.delivered == draft.second  # one detour is enough
                draft.delivered[hit] += self._delay_s(one, rng, int(hit.sum()))
                if fault.kind is Kind.DELAY:
                    draft.keeps_clear |= hit
        else:
            return
        draft.struck[fault.name] = draft.told.sensor[hit]

    def _quantised(self, tick: SensorTick) -> Readings:
        speed = np.where(np.isnan(tick.speed_kmh), NO_SPEED, np.rint(np.nan_to_num(tick.speed_kmh) * 10))
        return Readings(
            sensor=np.arange(len(tick.offset_ms), dtype=np.int64),
            timestamp_ms=self._start_ms + 1000 * tick.second + tick.offset_ms,
            vehicle_count=tick.vehicle_count.astype(np.int64),
            speed_dkmh=speed.astype(np.int64),
            occupancy_permille=np.rint(tick.occupancy * 1000).astype(np.int64),
        )

    def _delay_s(self, struck: Struck, rng: np.random.Generator, count: int) -> IntColumn | int:
        if struck.fault.kind is Kind.DISORDER:
            return 1
        low, high = (int(struck.fault.numbers[name]) for name in ("least_delay_s", "most_delay_s"))
        return rng.integers(low, high + 1, count)

    def _lights_on(
        self, readings: Readings, delivered: IntColumn, rows: BoolColumn, lost_to: dict[str, IntColumn]
    ) -> BoolColumn:
        """Those of the rows that find their gateway with power; the others are noted as lost."""
        if not self._cuts or not len(readings):
            return rows
        place = self._slices * delivered
        place += slice_of(readings.timestamp_ms, delivered, self._start_ms, self._slices)
        gateway = self._gateway_of_sensor[readings.sensor]
        there = rows.copy()
        for cut in self._cuts:
            first, end = dark_slices(cut.fault, self._slices)
            dark = there & (place >= first) & (place < end)
            if dark.any():
                dark &= np.isin(gateway, cut.gateways)
                there &= ~dark
                known = lost_to.get(cut.fault.name, readings.sensor[:0])
                lost_to[cut.fault.name] = np.concatenate([known, readings.sensor[dark]])
        return there

    def _is_closing_second(self, timestamp_ms: IntColumn, delivered_second: IntColumn) -> IntColumn:
        window_ms = self._window_s * 1000
        end_second = ((timestamp_ms // window_ms + 1) * window_ms - self._start_ms) // 1000
        closing: IntColumn = (delivered_second == end_second + self._lateness_s).astype(np.int64)
        return closing


def slice_of(
    timestamp_ms: IntColumn, delivered_second: IntColumn | int, start_ms: int, slices: int = SLICES
) -> IntColumn:
    """In which slice of its second a reading comes: that in which it was measured, or the first if it is older."""
    into_ms = timestamp_ms - start_ms - 1000 * delivered_second
    places: IntColumn = np.clip(into_ms // (1000 // slices), 0, slices - 1)
    return places


def _joined(first: Readings, second: Readings) -> Readings:
    return Readings(*(np.concatenate([getattr(first, n), getattr(second, n)]) for n in Readings.__dataclass_fields__))


def _lot(seed: int, struck: Struck) -> np.random.Generator:
    return np.random.default_rng([seed, 3, zlib.crc32(struck.fault.name.encode())])
