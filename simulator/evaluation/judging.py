"""One seed or one recording through the gateway's pipeline and the cloud's judge, and what that was worth."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from aggregator.profile_file import LearnedProfile, load_profile
from roadside.contract.summary import CongestionState
from simulator.evaluation.corridor import FREE_FLOW_KMH, SimulatedDay
from simulator.evaluation.labels import Labels, read_labels
from simulator.evaluation.scoring import Score, StatesTold, Told, score
from simulator.recorded.collected import Collected
from simulator.recorded.learning import SHIPPED, learn_from
from simulator.recorded.recording import Recorded, RecordedGateway, Recording
from simulator.recorded.replay import replay

LATENESS_MS: Final = 2000


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all that is judged.

    Parameters
    ----------
    hours, history_days : of a simulated morning, and of how many other mornings its gateways have learned
    window_s, stations_per_gateway : as in `replay`
    profile : for recordings; a file, "shipped" or "none"
    """

    hours: float = 2.5
    history_days: int = 0
    window_s: int = 10
    stations_per_gateway: int = 10
    profile: str = "shipped"


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: a seed, or the folder of a recording."""

    source: int | Path

    @property
    def kind(self) -> str:
        return "simulated" if isinstance(self.source, int) else "recorded"

    @property
    def name(self) -> str:
        return f"seed {self.source}" if isinstance(self.source, int) else self.source.name


def check(case: Case, settings: Settings) -> None:
    """See that a case can be judged, before anything long begins.

    Raises
    ------
    RecordingError
        A file is missing, damaged or lacks a column.
    OSError, ValueError
        The profile cannot be read.
    """
    if isinstance(case.source, Path):
        read_labels(Recording(case.source, FREE_FLOW_KMH, settings.stations_per_gateway), FREE_FLOW_KMH)
        _profile(settings.profile)


def judge(case: Case, settings: Settings) -> Score:
    """The same case and settings give the same score.

    Raises
    ------
    RecordingError
        A file is missing, damaged or lacks a column.
    """
    if isinstance(case.source, int):
        return _judge_seed(case.source, settings)
    recording = Recording(case.source, FREE_FLOW_KMH, settings.stations_per_gateway)
    labels = read_labels(recording, FREE_FLOW_KMH)
    return _judge(recording, labels, settings, _profile(settings.profile))


def _judge_seed(seed: int, settings: Settings) -> Score:
    def day(history: int) -> SimulatedDay:
        return SimulatedDay(seed, settings.hours, settings.stations_per_gateway, history)

    profile = None
    if settings.history_days:
        profile = learn_from((f"history {number}", day(number)) for number in range(1, settings.history_days + 1))
    today = day(0)
    return _judge(today, today.labels, settings, profile)


def _judge(recorded: Recorded, labels: Labels, settings: Settings, profile: LearnedProfile | None) -> Score:
    collected, _ = replay(
        recorded,
        window_s=settings.window_s,
        allowed_lateness_ms=LATENESS_MS,
        profile=profile,
        progress=lambda _: None,
    )
    return score(labels, _events(collected), _states(collected, recorded.gateways))


def _events(collected: Collected) -> Iterator[Told]:
    for alert in collected.alerts():
        if alert.kind == "incident":
            ended_s = None if alert.ended_ms is None else alert.ended_ms / 1000
            yield Told(alert.segment_id, alert.detected_ms / 1000, ended_s)


def _states(collected: Collected, gateways: Iterable[RecordedGateway]) -> dict[str, StatesTold]:
    names = {segment.number: segment.id for plan in gateways for segment in plan.segments}
    told: dict[str, list[tuple[float, bool]]] = {}
    for window, segment in collected.by_time():
        known_s = (window.window_start_ms + window.window_ms) / 1000
        congested = segment.congestion_state is CongestionState.CONGESTED
        told.setdefault(names[segment.number], []).append((known_s, congested))
    return {name: _columns(rows) for name, rows in told.items()}


def _columns(rows: list[tuple[float, bool]]) -> StatesTold:
    known_s, congested = zip(*rows, strict=True)
    return StatesTold(np.array(known_s), np.array(congested))


def _profile(name: str) -> LearnedProfile | None:
    return None if name == "none" else load_profile(SHIPPED if name == "shipped" else Path(name))
