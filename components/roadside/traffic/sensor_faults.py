"""Sensors that lie: what a faulty device reports instead of what passes it. For tests, rehearsals and training.

Each fault is a name and one parameter, so that a command line can ask for it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from roadside.traffic.errors import SensorError

DEFAULT_PARAMETER: Final = {
    "silent": 0.0,
    "dead": 0.0,
    "stuck_on": 0.0,
    "constant": 0.0,
    "chatter": 60.0,
    "occupancy_scale": 2.5,
    "undercount": 0.5,
}
"""Fault -> parameter: vehicles per 30 s that chatter reports, factor on the occupancy, share of vehicles missed."""

SLOWEST_CHATTER_KMH, FASTEST_CHATTER_KMH = 40.0, 120.0


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """What a device tells of one interval: vehicles, their speed (None without one), share of time covered."""

    vehicle_count: int
    speed_kmh: float | None
    occupancy: float | None


FIXED: Final = {"dead": DeviceReading(0, None, 0.0), "stuck_on": DeviceReading(0, None, 1.0)}


class FaultySensor:
    """One device with one fault, read interval after interval.

    Parameters
    ----------
    fault, parameter : what is wrong and how much; see `DEFAULT_PARAMETER`
    interval_s : time between two readings
    rng : source of chance; a generator seeded alike lies alike

    Raises
    ------
    SensorError
        The fault is none of those known, or its parameter makes no sense.
    """

    def __init__(self, fault: str, parameter: float, interval_s: float, rng: np.random.Generator) -> None:
        if fault not in DEFAULT_PARAMETER:
            raise SensorError("fault", fault, f"use one of {', '.join(DEFAULT_PARAMETER)}")
        if not 0 <= parameter < np.inf or (fault == "undercount" and parameter > 1):
            raise SensorError("parameter", parameter, "give a share up to 1, or a factor or rate from 0 up")
        self.fault = fault
        self._parameter = parameter
        self._interval_s = interval_s
        self._rng = rng
        self._held: DeviceReading | None = None  # that a constant device repeats

    def report(self, truth: DeviceReading) -> DeviceReading | None:
        """What the device says when `truth` passes it; None for nothing at all."""
        if self.fault == "silent":
            return None
        if self.fault in FIXED:
            return FIXED[self.fault]
        if self.fault == "constant":
            if self._held is None and truth.vehicle_count > 0:
                self._held = truth
            return self._held or truth
        if self.fault == "chatter":
            return self._chatter(truth)
        if self.fault == "occupancy_scale":
            scaled = None if truth.occupancy is None else min(1.0, truth.occupancy * self._parameter)
            return DeviceReading(truth.vehicle_count, truth.speed_kmh, scaled)
        return self._undercount(truth)

    def _chatter(self, truth: DeviceReading) -> DeviceReading:
        count = int(self._rng.poisson(self._parameter * self._interval_s / 30))
        speed = float(self._rng.uniform(SLOWEST_CHATTER_KMH, FASTEST_CHATTER_KMH))
        return DeviceReading(count, round(speed, 1) if count else None, truth.occupancy)

    def _undercount(self, truth: DeviceReading) -> DeviceReading:
        """A vehicle that is missed covers nothing either."""
        seen = int(self._rng.binomial(truth.vehicle_count, 1 - self._parameter))
        occupancy = truth.occupancy
        if occupancy is not None and truth.vehicle_count:
            occupancy *= seen / truth.vehicle_count
        return DeviceReading(seen, truth.speed_kmh if seen else None, occupancy)
