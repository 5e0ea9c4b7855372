"""The judge's memory as bytes, so that the next pass goes on where this one ended: deflated JSON.

In two sorts, because they change at different times: `dump` after every pass, `dump_profiles` each quarter of an hour.
Each is in pieces that fit into an item, and it does not matter which piece has a stretch: it is found again by its
stations. One whose stations have changed begins anew.
"""

import base64
import json
import zlib
from array import array
from collections.abc import Iterable
from typing import Any, Final

from cloud.functions.sweep.pairs import PairJudge
from cloud.functions.sweep.pairs_profile import BINS, PairProfile
from cloud.functions.sweep.pairs_stretch import Stretch, Told
from cloud.functions.sweep.pairs_timeline import Piece, Timeline

STRETCHES_A_PIECE: Final = 100  # at most about 250 KB
LAYOUT: Final = 1  # a memory of another one is not taken up


def dump(judge: PairJudge) -> list[bytes]:
    """What `restore` takes up; profiles apart."""
    return _pack(
        {
            _name(stretch): {
                "judged_until_ms": timeline.judged_until_ms,
                "waiting": [
                    [gateway, start_ms, epoch_ms, *piece]
                    for gateway, waiting in timeline.waiting.items()
                    for (start_ms, epoch_ms), piece in waiting.items()
                ],
                "memory": stretch.memory,
                "lanes": stretch.lanes,
                "running": [profile.running for profile in stretch.profiles],
            }
            for stretch, timeline in zip(judge.stretches, judge.timelines, strict=True)
        }
    )


def restore(judge: PairJudge, stored: Iterable[bytes]) -> int:
    """Take up a memory; returns how many stretches go on."""
    found = _unpack(stored)
    for stretch, timeline in zip(judge.stretches, judge.timelines, strict=True):
        memory = found.get(_name(stretch))
        if memory is not None:
            _restore_timeline(timeline, memory)
            stretch.memory, stretch.lanes = memory["memory"], memory["lanes"]
            for profile, running in zip(stretch.profiles, memory["running"], strict=True):
                profile.running = running
    return sum(_name(stretch) in found for stretch in judge.stretches)


def dump_profiles(judge: PairJudge) -> list[bytes]:
    """What each pair has learned of its days, for `restore_profiles`."""
    return _pack(
        {
            _name(stretch): [
                base64.b64encode(b"".join(day.tobytes() for day in [profile.today, *profile.days])).decode()
                for profile in stretch.profiles
            ]
            for stretch in judge.stretches
        }
    )


def restore_profiles(judge: PairJudge, stored: Iterable[bytes]) -> None:
    """Take up what was learned."""
    found = _unpack(stored)
    for stretch in judge.stretches:
        for profile, encoded in zip(stretch.profiles, found.get(_name(stretch), ()), strict=False):
            _restore_profile(profile, base64.b64decode(encoded))


def _restore_timeline(timeline: Timeline, memory: Any) -> None:
    timeline.judged_until_ms = memory["judged_until_ms"]
    for gateway, start_ms, epoch_ms, window_ms, revision, told in memory["waiting"]:
        rows = tuple(Told._make([*row[:-1], tuple(row[-1])]) for row in told)
        timeline.waiting[gateway][start_ms, epoch_ms] = Piece(window_ms, revision, rows)


def _restore_profile(profile: PairProfile, encoded: bytes) -> None:
    days = [array("b", encoded[first : first + BINS]) for first in range(0, len(encoded), BINS)]
    profile.restore(days[0], days[1:])


def _name(stretch: Stretch) -> str:
    return "-".join(f"{station.gateway}/{station.number}" for station in stretch.stations)


def _pack(by_stretch: dict[str, Any]) -> list[bytes]:
    names = list(by_stretch)
    pieces = [names[first : first + STRETCHES_A_PIECE] for first in range(0, len(names), STRETCHES_A_PIECE)]
    memories = [{"layout": LAYOUT, "stretches": {name: by_stretch[name] for name in piece}} for piece in pieces]
    return [zlib.compress(json.dumps(memory, separators=(",", ":")).encode(), level=1) for memory in memories]


def _unpack(stored: Iterable[bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for piece in stored:
        memory = json.loads(zlib.decompress(piece))
        if memory["layout"] == LAYOUT:
            found = memory["stretches"] | found  # a piece that is left over from a larger city comes last
    return found
