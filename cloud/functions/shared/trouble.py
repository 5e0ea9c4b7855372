"""What is wrong with one subject, now and lately: whether it goes on, and whether it comes and goes too often. Pure.

A trouble is the same whatever the order in which its events came, and however often. So it needs no order in the
queues before it, and a function that dies half-way does its work again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from roadside.contract.bus import BusEvent, phase, subject

KEPT_EPISODES: Final = 8
# People hear of so many beginnings of one trouble in so much time, and of each one's end; of the rest only systems do.
MAX_NOTIFIED: Final = 3
FLAPPING_MS: Final = 30 * 60_000
_SEVERAL_AT_ONCE: Final = "data:"  # of other subjects a new episode means that the last one is over


@dataclass(frozen=True, slots=True)
class Episode:
    """From the event that began to the one that ended.

    Parameters
    ----------
    started_ms : what its events have in common
    begun : id of the event that began; empty if only later ones are known
    ended_ms : None while it goes on
    """

    started_ms: int
    begun: str = ""
    confirmed: bool = False
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """One subject's latest episodes, the newest first."""

    subject: str
    episodes: tuple[Episode, ...] = ()

    @property
    def current(self) -> Episode | None:
        """The newest episode that goes on, or None."""
        lately = self.episodes if self.subject.startswith(_SEVERAL_AT_ONCE) else self.episodes[:1]
        return next((episode for episode in lately if episode.ended_ms is None), None)

    def shall_notify(self, started_ms: int) -> bool:
        """Whether people shall hear of the episode: not if too many began shortly before it."""
        lately = range(started_ms - FLAPPING_MS, started_ms)
        return sum(episode.started_ms in lately for episode in self.episodes) < MAX_NOTIFIED


def fold(trouble: Trouble, event: BusEvent) -> Trouble:
    """The trouble, with what the event tells of it."""
    known = next((e for e in trouble.episodes if e.started_ms == event.started_ms), Episode(event.started_ms))
    match phase(event.kind):
        case "begins":  # of two ids for one beginning the same is kept in any order
            told = replace(known, begun=min(known.begun or event.event_id, event.event_id))
        case "goes on":
            told = replace(known, confirmed=True)
        case _:
            ended_ms = event.occurred_ms if known.ended_ms is None else min(known.ended_ms, event.occurred_ms)
            told = replace(known, ended_ms=ended_ms)
    others = [episode for episode in trouble.episodes if episode.started_ms != event.started_ms]
    newest_first = sorted([told, *others], key=lambda episode: -episode.started_ms)
    return Trouble(trouble.subject, tuple(newest_first[:KEPT_EPISODES]))


def by_subject(events: Sequence[BusEvent]) -> dict[str, list[BusEvent]]:
    """The events of each subject."""
    sorted_out: dict[str, list[BusEvent]] = {}
    for event in events:
        sorted_out.setdefault(subject(event), []).append(event)
    return sorted_out
