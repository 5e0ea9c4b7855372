"""A recording some of whose sensors lie, for replays."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from roadside.traffic.sensor_faults import DEFAULT_PARAMETER, DeviceReading, FaultySensor
from simulator.recorded.recording import Format, RecordedReading, Recording


class SpoiledRecording(Recording):
    """The recording in `folder` with one fault in `faulty` of its freeway sensors, chosen by `seed`.

    Attributes
    ----------
    faulty : names of the sensors that lie

    Raises
    ------
    RecordingError
        As for a recording.
    SensorError
        There is no such fault.
    """

    def __init__(
        self,
        folder: Path,
        freeway_free_flow_kmh: float,
        stations_per_gateway: int | None = None,
        *,
        file_format: Format = Format.AUTO,
        fault: str,
        faulty: int,
        seed: int,
    ) -> None:
        super().__init__(folder, freeway_free_flow_kmh, stations_per_gateway, file_format=file_format)
        rng = np.random.default_rng(seed)
        self._devices: dict[str, FaultySensor] = {}
        segments = [segment for gateway in self.gateways for segment in gateway.segments]
        sensors = [sensor for s in segments if s.road_class == "freeway" for sensor in s.sensors]
        self.faulty = tuple(sorted(rng.choice(sensors, min(faulty, len(sensors)), replace=False).tolist()))
        interval_s = self.interval_ms() / 1000
        self._devices = {
            sensor: FaultySensor(fault, DEFAULT_PARAMETER.get(fault, 0.0), interval_s, rng) for sensor in self.faulty
        }

    def readings(self) -> Iterator[RecordedReading]:
        """All rows as the devices tell them; rows that make no sense are left as they are."""
        for reading in super().readings():
            device = self._devices.get(reading.sensor_id)
            if device is None or not isinstance(reading.vehicle_count, float):
                yield reading
                continue
            told = device.report(
                DeviceReading(int(reading.vehicle_count), _number(reading.speed_kmh), _number(reading.occupancy))
            )
            if told is not None:
                yield reading._replace(
                    vehicle_count=float(told.vehicle_count), speed_kmh=told.speed_kmh, occupancy=told.occupancy
                )


def _number(value: float | str | None) -> float | None:
    return value if isinstance(value, float) else None
