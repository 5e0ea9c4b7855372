"""Traffic and the readings of its sensors, second by second, with whatever is to be wrong with them. Pure."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from roadside.contract.summary import MAX_FRAME_READINGS, ReadingFrame
from roadside.traffic import (
    WEEKDAY,
    CellTransmission,
    Incident,
    IncidentSchedule,
    SensorLayer,
)
from roadside.traffic.sensor_faults import DEFAULT_PARAMETER, DeviceReading, FaultySensor
from sensor_emulator.roads import make_roads
from sensor_emulator.settings import EmulatorSettings

WARM_UP_S: Final = 600
SOURCE: Final = "emulator"

IntColumn = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Columns of one value a reading; speed NO_SPEED where no vehicle passed."""

    sensor_number: IntColumn
    timestamp_ms: IntColumn
    vehicle_count: IntColumn
    speed_dkmh: IntColumn
    occupancy_permille: IntColumn

    def __len__(self) -> int:
        return len(self.sensor_number)

    def rows(self, chosen: npt.NDArray[np.bool_] | slice) -> "Readings":
        return Readings(*(getattr(self, name)[chosen] for name in self.__slots__))


class Emulation:
    """One run; the same settings and times give the same readings, bit by bit.

    Raises
    ------
    TrafficError
        The segments or incidents are none that the model knows.
    """

    def __init__(self, settings: EmulatorSettings, time_of_day_s: float) -> None:
        self._settings = settings
        self._roads = make_roads(settings.segments)
        network = self._roads.network
        self._model = CellTransmission(network, time_s=-float(WARM_UP_S))
        self._sensors = SensorLayer(network, self._roads.layout, np.random.default_rng([settings.seed, 1]))
        self._rng = np.random.default_rng([settings.seed, 2])
        self._offset_ms = self._rng.integers(0, 1000, len(self._roads.sensor_number))
        self._incidents = IncidentSchedule(
            [
                Incident(
                    self._roads.middle_cell[each.segment],
                    float(each.after_seconds),
                    float(each.after_seconds + each.seconds),
                    each.lanes_blocked,
                )
                for each in settings.incidents
            ],
            network.lanes,
        )
        place = {sensor: index for index, sensor in enumerate(self._roads.sensor_ids)}
        self._liars = {
            place[each.sensor]: FaultySensor(
                each.fault,
                DEFAULT_PARAMETER[each.fault] if each.parameter is None else each.parameter,
                1.0,
                np.random.default_rng([settings.seed, 3, place[each.sensor]]),
            )
            for each in settings.faults
        }
        self._later: dict[int, list[Readings]] = defaultdict(list)
        self._second = 0
        for _ in range(WARM_UP_S):
            self._move(time_of_day_s)

    def next_second(self, start_ms: int, time_of_day_s: float) -> Readings:
        """Let a second pass that began at `start_ms`; returns what is handed over at its end."""
        self._move(time_of_day_s)
        measured = self._measure(start_ms)
        settings, second = self._settings, self._second
        late = self._rng.random(len(measured)) < settings.late_share
        twice = self._rng.random(len(measured)) < settings.duplicate_share
        self._later[second].append(measured.rows(~late))
        self._later[second + settings.late_seconds].append(measured.rows(late))
        self._later[second + 1].append(measured.rows(twice & ~late))
        self._second += 1
        parts = self._later.pop(second)
        return Readings(*(np.concatenate([getattr(part, name) for part in parts]) for name in Readings.__slots__))

    def _move(self, time_of_day_s: float) -> None:
        share = self._settings.demand_share or WEEKDAY.share(time_of_day_s)
        factor = self._incidents.capacity_factor(self._model.time_s)
        self._model.step(1.0, demand_share=share, capacity_factor=factor)

    def _measure(self, start_ms: int) -> Readings:
        sample = self._sensors.sample(self._model.state)
        count = sample.vehicle_count.astype(np.int64)
        speed = np.rint(np.nan_to_num(sample.speed_kmh, nan=ReadingFrame.NO_SPEED / 10) * 10)
        occupancy = np.rint(sample.occupancy * 1000)
        reports = np.ones(len(count), dtype=bool)
        for index, liar in self._liars.items():
            speed_kmh = float(sample.speed_kmh[index])
            truth = DeviceReading(
                int(count[index]), None if np.isnan(speed_kmh) else speed_kmh, float(sample.occupancy[index])
            )
            lie = liar.report(truth)
            if lie is None:
                reports[index] = False
                continue
            count[index] = lie.vehicle_count
            speed[index] = ReadingFrame.NO_SPEED if lie.speed_kmh is None else round(lie.speed_kmh * 10)
            occupancy[index] = ReadingFrame.NO_SPEED if lie.occupancy is None else round(lie.occupancy * 1000)
        every = Readings(
            self._roads.sensor_number,
            start_ms + self._offset_ms,
            count,
            speed.astype(np.int64),
            occupancy.astype(np.int64),
        )
        return every.rows(reports)


def frames(readings: Readings) -> list[ReadingFrame]:
    """The readings in frames that every nucleus takes."""
    made = []
    for first in range(0, len(readings), MAX_FRAME_READINGS):
        part = readings.rows(slice(first, first + MAX_FRAME_READINGS))
        base_ms = int(part.timestamp_ms.min())
        made.append(
            ReadingFrame(
                source=SOURCE,
                base_ms=base_ms,
                sensor_number=part.sensor_number.astype("<u4").tobytes(),
                offset_ms=(part.timestamp_ms - base_ms).astype("<u4").tobytes(),
                vehicle_count=part.vehicle_count.astype("<u2").tobytes(),
                speed_dkmh=part.speed_dkmh.astype("<u2").tobytes(),
                occupancy_permille=part.occupancy_permille.astype("<u2").tobytes(),
            )
        )
    return made
