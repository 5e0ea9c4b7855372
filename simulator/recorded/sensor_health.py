"""How well the gateway finds faulty sensors: recorded traffic, faults put into it, and what the core makes of both.

Only the core runs, without messages or a store, so that a recording of hours takes seconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console

from aggregator.settings import AggregatorSettings
from roadside.core.aggregator import Aggregator
from roadside.core.health import SensorChange
from roadside.core.readings import batch_from_measurements
from roadside.core.registry import Registry
from roadside.traffic.sensor_faults import DEFAULT_PARAMETER, DeviceReading, FaultySensor
from simulator.recorded.recording import RecordedGateway, RecordedReading, Recording, RecordingError

FloatTable = npt.NDArray[np.float64]
CLASSES_WITH_CONSERVED_FLOW: Final = ("freeway",)  # elsewhere nobody can tell an undercount
CAUGHT_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one kind of fault.

    Parameters
    ----------
    fault : its name, "none" for the recording as it is
    injected : sensors with the fault
    caught : those of them that were flagged, by whatever name
    named : those of them that were flagged by the right name
    healthy_flagged : sensors that were flagged without a fault
    median_minutes : from the fault's beginning to the flag; None if nothing was caught
    """

    fault: str
    injected: tuple[str, ...]
    caught: tuple[str, ...]
    named: int
    healthy_flagged: tuple[str, ...]
    median_minutes: float | None


@dataclass(slots=True)
class Traffic:
    """Readings of one gateway, tables of [steps, sensors]: NaN where a value is absent, `heard` where there is one."""

    registry: Registry
    sensors: tuple[str, ...]
    timestamp_ms: npt.NDArray[np.int64]
    vehicle_count: FloatTable
    speed_kmh: FloatTable
    occupancy: FloatTable
    heard: npt.NDArray[np.bool_]

    def copy(self) -> "Traffic":
        return replace(
            self,
            vehicle_count=self.vehicle_count.copy(),
            speed_kmh=self.speed_kmh.copy(),
            occupancy=self.occupancy.copy(),
            heard=self.heard.copy(),
        )


class SensorTrial:
    """A recording in memory, ready to be spoiled again and again.

    Raises
    ------
    RecordingError
        A file is damaged, lacks a column, or holds times that are none.
    """

    def __init__(self, recording: Recording, *, window_s: int = 10) -> None:
        self._interval_ms = recording.interval_ms()
        self._window_s = window_s
        self._traffic = _traffic(recording, self._interval_ms, window_s)

    def sensors(self, road_class: str) -> list[str]:
        """Names of all sensors on roads of this class."""
        return [
            sensor
            for traffic in self._traffic
            for segment in traffic.registry.segments
            for sensor in segment.sensor_ids
            if segment.road_class.value == road_class
        ]

    def judge(self, fault: str, chosen: Sequence[str], *, after_min: float, parameter: float, seed: int) -> Verdict:
        """Let `chosen` have the fault from `after_min` on, and see who is flagged."""
        rng = np.random.default_rng(seed)
        flags: dict[str, SensorChange] = {}
        begins_ms = 0
        for traffic in self._traffic:
            mine = [sensor for sensor in traffic.sensors if sensor in chosen]
            first = round(after_min * 60_000 / self._interval_ms)
            begins_ms = int(traffic.timestamp_ms[min(first, len(traffic.timestamp_ms) - 1)])
            spoiled = traffic.copy()
            for sensor in mine:
                device = FaultySensor(fault, parameter, self._interval_ms / 1000, rng)
                _spoil(spoiled, traffic.sensors.index(sensor), first, device)
            for change in self._changes(spoiled):
                if change.faulty:
                    flags.setdefault(traffic.sensors[change.sensor], change)
        caught = tuple(sensor for sensor in chosen if sensor in flags)
        minutes = [(flags[sensor].occurred_ms - begins_ms) / 60_000 for sensor in caught]
        return Verdict(
            fault=fault,
            injected=tuple(chosen),
            caught=caught,
            named=sum(flags[sensor].fault.name.lower() == fault for sensor in caught),
            healthy_flagged=tuple(sorted(set(flags) - set(chosen))),
            median_minutes=median(minutes) if minutes else None,
        )

    def _changes(self, traffic: Traffic) -> list[SensorChange]:
        settings = AggregatorSettings(window_seconds=self._window_s, reading_interval_ms=self._interval_ms)
        aggregator = Aggregator(traffic.registry, settings.aggregation())
        changes: list[SensorChange] = []
        for step, timestamp_ms in enumerate(traffic.timestamp_ms.tolist()):
            sensor = np.flatnonzero(traffic.heard[step])
            speed, occupancy = traffic.speed_kmh[step, sensor], traffic.occupancy[step, sensor]
            batch = batch_from_measurements(
                sensor,
                np.full(len(sensor), float(timestamp_ms)),
                traffic.vehicle_count[step, sensor],
                np.nan_to_num(speed),
                np.nan_to_num(occupancy),
                has_speed=~np.isnan(speed),
                has_occupancy=~np.isnan(occupancy),
            )
            now_ms = timestamp_ms + self._interval_ms
            aggregator.feed(batch, now_ms, now_ms)
            changes += aggregator.advance(now_ms).sensor_changes
        return changes + list(aggregator.drain().sensor_changes)


def _spoil(traffic: Traffic, sensor: int, first: int, device: FaultySensor) -> None:
    for step in range(first, len(traffic.timestamp_ms)):
        if not traffic.heard[step, sensor]:
            continue
        speed, occupancy = float(traffic.speed_kmh[step, sensor]), float(traffic.occupancy[step, sensor])
        told = device.report(
            DeviceReading(
                int(traffic.vehicle_count[step, sensor]),
                None if np.isnan(speed) else speed,
                None if np.isnan(occupancy) else occupancy,
            )
        )
        traffic.heard[step, sensor] = told is not None
        if told is not None:
            traffic.vehicle_count[step, sensor] = told.vehicle_count
            traffic.speed_kmh[step, sensor] = np.nan if told.speed_kmh is None else told.speed_kmh
            traffic.occupancy[step, sensor] = np.nan if told.occupancy is None else told.occupancy


def _traffic(recording: Recording, interval_ms: int, window_s: int) -> list[Traffic]:
    """The whole recording as tables, one set a gateway."""
    rows: list[RecordedReading] = []
    steps: set[int] = set()
    for reading in recording.readings():
        if not isinstance(reading.timestamp_ms, int):
            raise RecordingError(f"{recording.folder}: timestamp {reading.timestamp_ms!r} is none; mend it")
        steps.add(reading.timestamp_ms)
        rows.append(reading)
    timestamp_ms = np.array(sorted(steps), dtype=np.int64)
    step_of = {timestamp: step for step, timestamp in enumerate(timestamp_ms.tolist())}
    tables: list[Traffic] = []
    place: dict[str, tuple[Traffic, int]] = {}
    for gateway in recording.gateways:
        traffic = _empty(gateway, timestamp_ms, interval_ms, window_s)
        tables.append(traffic)
        place.update((sensor, (traffic, index)) for index, sensor in enumerate(traffic.sensors))
    for reading in rows:
        if reading.sensor_id in place and isinstance(reading.vehicle_count, float):
            traffic, sensor = place[reading.sensor_id]
            step = step_of[int(reading.timestamp_ms)]
            traffic.heard[step, sensor] = True
            traffic.vehicle_count[step, sensor] = reading.vehicle_count
            if isinstance(reading.speed_kmh, float):
                traffic.speed_kmh[step, sensor] = reading.speed_kmh
            if isinstance(reading.occupancy, float):
                traffic.occupancy[step, sensor] = reading.occupancy
    return tables


def _empty(gateway: RecordedGateway, timestamp_ms: npt.NDArray[np.int64], interval_ms: int, window_s: int) -> Traffic:
    settings = AggregatorSettings(
        window_seconds=window_s, reading_interval_ms=interval_ms, segments=list(gateway.segments)
    )
    registry = settings.registry()
    assert registry is not None  # noqa: S101 - a recorded gateway has segments
    sensors = tuple(sensor for segment in registry.segments for sensor in segment.sensor_ids)
    shape = (len(timestamp_ms), len(sensors))
    vehicle_count, speed_kmh, occupancy = np.full((3, *shape), np.nan)
    heard = np.zeros(shape, dtype=bool)
    return Traffic(registry, sensors, timestamp_ms, vehicle_count, speed_kmh, occupancy, heard)


def try_all(trial: SensorTrial, road_class: str, faulty: int, *, after_min: float, seed: int) -> Iterator[Verdict]:
    """The healthy recording first, then each fault on `faulty` sensors of this class, chosen by `seed`."""
    yield trial.judge("none", (), after_min=0, parameter=0, seed=seed)
    sensors = trial.sensors(road_class)
    for place, fault in enumerate(DEFAULT_PARAMETER):
        if fault == "undercount" and road_class not in CLASSES_WITH_CONSERVED_FLOW:
            continue
        rng = np.random.default_rng([seed, place])
        chosen = rng.choice(sensors, size=min(faulty, len(sensors)), replace=False).tolist()
        yield trial.judge(fault, chosen, after_min=after_min, parameter=DEFAULT_PARAMETER[fault], seed=seed)


def print_verdicts(verdicts: Iterable[Verdict], console: Console) -> bool:
    """Print a line for each as it comes; whether all are well."""
    console.print(f"{'fault':16}{'caught':>9}{'by name':>9}{'minutes':>9}  healthy flagged; missed")
    well = True
    for verdict in verdicts:
        missed = sorted(set(verdict.injected) - set(verdict.caught))
        minutes = "" if verdict.median_minutes is None else f"{verdict.median_minutes:.0f}"
        notes = f"{len(verdict.healthy_flagged)} {' '.join(verdict.healthy_flagged[:5])}; {' '.join(missed)}"
        caught = f"{len(verdict.caught)}/{len(verdict.injected)}"
        console.print(f"{verdict.fault:16}{caught:>9}{verdict.named:>9}{minutes:>9}  {notes}", highlight=False)
        well &= not verdict.healthy_flagged and len(verdict.caught) >= CAUGHT_SHARE * len(verdict.injected)
    return well
