"""What contrast of speed is usual on a corridor, learned from recorded days as a gateway learns it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from aggregator.profile_file import LearnedProfile, learned_profile
from aggregator.settings import AggregatorSettings
from roadside.core.aggregator import Aggregator
from roadside.core.contrast_profile import Ratings
from roadside.core.readings import ReadingBatch, batch_from_measurements
from roadside.core.registry import Registry
from simulator.recorded.recording import Recorded, RecordedGateway, RecordedReading, Recording, RecordingError

SHIPPED: Final = Path(__file__).parent / "profiles" / "corridor.json"


def learn(folders: Sequence[Path], free_flow_kmh: float, progress: Callable[[Path], None]) -> LearnedProfile:
    """Each folder is a day, the newest last.

    Raises
    ------
    RecordingError
        A file is damaged or lacks a column.
    """

    def days() -> Iterator[tuple[str, Recorded]]:
        for folder in folders:
            progress(folder)
            yield folder.name, Recording(folder, free_flow_kmh)

    return learn_from(days())


def learn_from(named_days: Iterable[tuple[str, Recorded]]) -> LearnedProfile:
    """Each is a day with its name, the newest last."""
    names: list[str] = []
    days: dict[str, list[Ratings]] = {}
    for name, recording in named_days:
        names.append(name)
        for segment_id, day in _day(recording).items():
            days.setdefault(segment_id, []).append(day)
    return learned_profile(days, names)


def _day(recording: Recorded) -> dict[str, Ratings]:
    interval_ms = recording.interval_ms()
    corridors = [_Corridor(plan, interval_ms) for plan in recording.gateways]
    for timestamp_ms, rows in groupby(recording.readings(), key=lambda row: row.timestamp_ms):
        if isinstance(timestamp_ms, int):
            told = list(rows)
            for corridor in corridors:
                corridor.take(told, timestamp_ms + interval_ms)
    return {name: day for corridor in corridors for name, day in corridor.finish()}


class _Corridor:
    """One gateway's core, without pipeline and messages."""

    def __init__(self, plan: RecordedGateway, interval_ms: int) -> None:
        settings = AggregatorSettings(reading_interval_ms=interval_ms, segments=list(plan.segments))
        registry = settings.registry()
        if registry is None:
            raise RecordingError(f"{plan.gateway_id}: holds no segment")
        self._registry = registry
        self._aggregator = Aggregator(registry, settings.aggregation())
        self._sensors = frozenset(sensor for segment in plan.segments for sensor in segment.sensors)

    def take(self, rows: Sequence[RecordedReading], now_ms: int) -> None:
        if not self._aggregator.incidents.has_pairs:
            return
        own = [row for row in rows if row.sensor_id in self._sensors]
        if own:
            self._aggregator.feed(_batch(own, self._registry), now_ms, now_ms)
        self._aggregator.advance(now_ms)

    def finish(self) -> Iterator[tuple[str, Ratings]]:
        """Each pair's day, by the segment upstream."""
        self._aggregator.drain()
        profile = self._aggregator.incidents.profile
        profile.end()
        for index, segment in enumerate(self._registry.segments):
            if profile.is_learned(index):
                yield segment.segment_id, profile.days[index, :, -1]


def _batch(rows: Sequence[RecordedReading], registry: Registry) -> ReadingBatch:
    def numbers(column: Sequence[float | str | None]) -> npt.NDArray[np.float64]:
        return np.array([cell if isinstance(cell, float) else np.nan for cell in column])

    speeds, shares = [row.speed_kmh for row in rows], [row.occupancy for row in rows]
    return batch_from_measurements(
        registry.index_of_ids([row.sensor_id for row in rows]),
        np.array([row.timestamp_ms for row in rows], dtype=np.float64),
        numbers([row.vehicle_count for row in rows]),
        numbers(speeds),
        numbers(shares),
        has_speed=np.array([speed is not None for speed in speeds]),
        has_occupancy=np.array([share is not None for share in shares]),
    )
