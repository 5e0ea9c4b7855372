"""Sensors that lie for a while: what a tick of the city becomes where `roadside.traffic.sensor_faults` are at work."""

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from roadside.traffic.sensor_faults import DeviceReading, FaultySensor
from simulator.city.traffic import SensorTick
from simulator.faults.kinds import RULES
from simulator.faults.schedule import Struck

READING_INTERVAL_S = 1.0


class Falsifying:
    """Replaces the readings of struck sensors by what the faulty devices say, second by second."""

    def __init__(self, struck: Sequence[Struck], seed: int, sensor_count: int) -> None:
        self._seed = seed
        self._struck = [
            (one, np.flatnonzero(one.sensors) if one.sensors is not None else np.arange(sensor_count))
            for one in struck
            if RULES[one.fault.kind].sensor_fault
        ]
        self._devices: dict[str, list[FaultySensor]] = {}

    def falsify(
        self, tick: SensorTick
    ) -> tuple[SensorTick, npt.NDArray[np.bool_] | None, dict[str, npt.NDArray[np.intp]]]:
        """The tick as it is told, which sensors tell nothing (None: all tell), and by fault which sensors it struck."""
        active = [(one, sensors) for one, sensors in self._struck if one.fault.active(tick.second)]
        if not active:
            return tick, None, {}
        count, speed, occupancy = tick.vehicle_count.copy(), tick.speed_kmh.copy(), tick.occupancy.copy()
        silent = np.zeros(len(count), dtype=bool)
        for one, sensors in active:
            for device, sensor in zip(self._of(one, sensors), sensors.tolist(), strict=True):
                passed = None if np.isnan(speed[sensor]) else float(speed[sensor])
                told = device.report(DeviceReading(int(count[sensor]), passed, float(occupancy[sensor])))
                if told is None:
                    silent[sensor] = True
                    continue
                count[sensor] = told.vehicle_count
                speed[sensor] = np.nan if told.speed_kmh is None else told.speed_kmh
                occupancy[sensor] = told.occupancy or 0.0
        told_tick = SensorTick(tick.second, tick.offset_ms, count, speed, occupancy)
        return told_tick, silent, {one.fault.name: sensors for one, sensors in active}

    def _of(self, struck: Struck, sensors: npt.NDArray[np.intp]) -> list[FaultySensor]:
        """The devices of a fault, made when it begins."""
        fault, rules = struck.fault, RULES[struck.fault.kind]
        if fault.name not in self._devices:
            parameter = fault.numbers.get(rules.sensor_parameter, 0.0)
            of_fault = zlib.crc32(fault.name.encode())
            self._devices[fault.name] = [
                FaultySensor(
                    rules.sensor_fault,
                    parameter,
                    READING_INTERVAL_S,
                    np.random.default_rng([self._seed, 5, of_fault, sensor]),
                )
                for sensor in sensors.tolist()
            ]
        return self._devices[fault.name]
