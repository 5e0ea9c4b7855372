"""Contrast profiles as files: learned in one place, begun with in another.

JSON, by segment id: the first quarter of the day it knows (UTC), and for each day the usual contrast of speed to the
next segment in hundredths of free flow, one value a quarter, null where nothing is known. The newest day is the last.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from roadside.core.contrast_profile import BINS, DAYS, UNKNOWN, ContrastProfile, Ratings
from roadside.core.errors import ConfigurationError
from roadside.core.registry import Registry

FORMAT: Final = "roadside-contrast-profile-1"
Hundredths = Annotated[int, Meta(ge=-127, le=127)]


class SegmentProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The learned days of one segment."""

    first_quarter: Annotated[int, Meta(ge=0, lt=BINS)]
    days: list[list[Hundredths | None]]


class LearnedProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What several days of a corridor have taught.

    Parameters
    ----------
    learned_from : names of the days, the newest last
    segments : by segment id
    """

    format: Literal["roadside-contrast-profile-1"]
    learned_from: list[str]
    segments: dict[str, SegmentProfile]

    def teach(self, profile: ContrastProfile, registry: Registry) -> int:
        """Begin with it every segment that knows of no day yet; returns how many segments the file knows."""
        known = 0
        for index, segment in enumerate(registry.segments):
            learned = self.segments.get(segment.segment_id)
            if learned is None:
                continue
            known += 1
            if not profile.is_learned(index):
                profile.teach(index, _dense(learned))
        return known


def load_profile(path: Path) -> LearnedProfile:
    """Read a file.

    Raises
    ------
    ConfigurationError
        It cannot be read, is no profile, or runs over the end of a day.
    """
    try:
        learned = msgspec.json.decode(path.read_bytes(), type=LearnedProfile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError("incidentProfile", str(path), f"is no profile that can be read ({error})") from error
    for name, segment in learned.segments.items():
        if any(segment.first_quarter + len(day) > BINS for day in segment.days):
            raise ConfigurationError("incidentProfile", str(path), f"has days of {name} with more than {BINS} quarters")
    return learned


def learned_profile(days: Mapping[str, Sequence[Ratings]], learned_from: Sequence[str]) -> LearnedProfile:
    """The profile of these days, each int8 [BINS], by segment id."""
    segments = {name: _sparse(np.array(of_segment)) for name, of_segment in days.items()}
    return LearnedProfile(format=FORMAT, learned_from=list(learned_from), segments=segments)


def save_profile(path: Path, learned: LearnedProfile) -> None:
    """Write a file, one segment a line."""
    head, *rows = (
        f'"format":"{learned.format}","learned_from":{_json(learned.learned_from)},"segments":{{',
        *(f"{_json(name)}:{_json(segment)}" for name, segment in learned.segments.items()),
    )
    path.write_text("{" + head + "\n" + ",\n".join(rows) + "\n}}\n", encoding="utf-8")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _dense(learned: SegmentProfile) -> Ratings:
    days = np.full((len(learned.days), BINS), UNKNOWN, dtype=np.int8)
    for row, day in zip(days, learned.days, strict=True):
        row[learned.first_quarter : learned.first_quarter + len(day)] = [UNKNOWN if v is None else v for v in day]
    return days[-DAYS:]


def _sparse(days: Ratings) -> SegmentProfile:
    quarters = np.flatnonzero((days != UNKNOWN).any(axis=0))
    first, end = int(quarters[0]), int(quarters[-1]) + 1
    return SegmentProfile(
        first_quarter=first,
        days=[[None if v == UNKNOWN else v for v in day] for day in days[:, first:end].tolist()],
    )
