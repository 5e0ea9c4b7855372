"""What the page's script draws the map and the diagram of a corridor from: as small as it can be. Pure.

Levels are a byte each, one after another by window and segment, in base64: a page of a long run or a large city stays
within bounds because several windows then share a picture, of which the worst is shown.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from roadside.contract.summary import CongestionState
from simulator.report.run_folder import Recording
from simulator.run.segments import NOTHING, SegmentHistory

MAX_LEVELS: Final = 900_000
MAX_FRAMES: Final = 360
MAX_MARKS: Final = 5000
GRID: Final = 4000  # steps of the map's longer side
METRES_PER_DEGREE: Final = 111_320.0
# Events on the diagram: of which a person was told. Others have their numbers elsewhere.
MARKED: Final = (
    "CongestionStarted",
    "CongestionCleared",
    "IncidentDetected",
    "IncidentSuspected",
    "IncidentConfirmed",
    "IncidentCleared",
)


def city_data(history: SegmentHistory, recording: Recording | None, start_ms: int) -> dict[str, Any]:
    """The city and its windows, for the script."""
    levels, frame_s, frame_ms = _frames(history, start_ms)
    x, y, width, height = _plane(history)
    incidents, alerts = _marks(recording, start_ms)
    congested = _congested(history, len(frame_s))
    return {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "metres_per_step": _metres_per_step(history),
        "gateways": history.gateways.tolist(),
        "gateway": history.gateway.tolist(),
        "districts": history.districts.tolist(),
        "district": history.district.tolist(),
        "free_flow_kmh": np.rint(history.free_flow_kmh).astype(int).tolist(),
        "freeway": history.is_freeway.astype(int).tolist(),
        "place_m": np.rint(history.place_m).astype(int).tolist(),
        "length_m": np.rint(history.length_m).astype(int).tolist(),
        "corridors": _corridors(history),
        "order": _order(history, incidents, alerts),
        "frame_s": frame_s,
        "frame_length_s": frame_ms / 1000,
        "congested": [sum(each) for each in congested],
        "congested_by_district": congested,
        "levels": base64.b64encode(levels.tobytes()).decode("ascii"),
        "incidents": incidents,
        "alerts": alerts,
        "kinds": list(MARKED),
    }


def _stride(history: SegmentHistory) -> int:
    """How many windows share a frame."""
    windows, segments = history.level.shape
    frames = max(1, min(MAX_FRAMES, MAX_LEVELS // max(1, int(segments))))
    return max(1, -(-int(windows) // frames))


def _frames(history: SegmentHistory, start_ms: int) -> tuple[npt.NDArray[np.uint8], list[float], int]:
    """Levels by frame and segment, when each frame begins, and how long it is; without the silence at the end."""
    stride = _stride(history)
    frame_ms = stride * int(history.column_ms)
    told = np.flatnonzero((history.level != NOTHING).any(axis=1))
    if not len(told):
        return history.level[:0], [], frame_ms
    windows = int(told[-1]) + 1
    known = np.where(history.level == NOTHING, 0, history.level + 1).astype(np.uint8)  # unknown is less than any
    worst = np.maximum.reduceat(known, np.arange(0, windows, stride), axis=0)
    levels = np.where(worst == 0, NOTHING, worst - 1).astype(np.uint8)
    starts_ms = history.window_start_ms[:windows:stride].tolist()
    return levels, [round((at - start_ms) / 1000, 1) for at in starts_ms], frame_ms


def _congested(history: SegmentHistory, frames: int) -> list[list[int]]:
    """How many segments of each district are congested, by frame."""
    congested = history.state == CongestionState.CONGESTED
    stride = _stride(history)
    of_frame = [congested[frame * stride : (frame + 1) * stride].any(axis=0) for frame in range(frames)]
    return [np.bincount(history.district[each], minlength=len(history.districts)).tolist() for each in of_frame]


def _metres(history: SegmentHistory) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    narrowing = np.cos(np.radians(history.latitude.mean()))
    east = (history.longitude - history.longitude.min()) * narrowing * METRES_PER_DEGREE
    south = (history.latitude.max() - history.latitude) * METRES_PER_DEGREE
    return east, south


def _metres_per_step(history: SegmentHistory) -> float:
    east, south = _metres(history)
    return max(float(east.max()), float(south.max()), 1.0) / GRID


def _plane(history: SegmentHistory) -> tuple[list[int], list[int], int, int]:
    """Every segment's middle, x to the east and y to the south, in steps; and the size of the whole."""
    east, south = (np.rint(metres / _metres_per_step(history)).astype(int) for metres in _metres(history))
    return east.tolist(), south.tolist(), int(east.max()), int(south.max())


def _corridors(history: SegmentHistory) -> list[list[int]]:
    """The segments of each corridor, in driving order."""
    found: list[list[int]] = [[] for _ in range(int(history.corridor.max(initial=-1)) + 1)]
    for segment in np.lexsort((history.place_m, history.corridor)).tolist():
        found[int(history.corridor[segment])].append(segment)
    return found


def _marks(recording: Recording | None, start_ms: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """Incidents as [segment, metres into it, start, end, lanes]; alerts as [segment, seconds, kind, received]."""
    if recording is None:
        return [], []
    incidents = [
        [each["segment"], round(each["into_segment_m"]), each["start_s"], each["end_s"], each["lanes_blocked"]]
        for each in recording.incidents
        if each["start_s"] < recording.end_s and each["end_s"] > 0
    ]
    alerts = [
        [
            each["segment_number"],
            _since(each["occurred_ms"], start_ms),
            MARKED.index(each["kind"]),
            _received(each, start_ms),
        ]
        for each in recording.events
        if each["kind"] in MARKED and each["segment_number"] is not None
    ]
    return incidents[:MAX_MARKS], alerts[:MAX_MARKS]


def _since(at_ms: float, start_ms: int) -> float:
    return round((at_ms - start_ms) / 1000, 1)


def _received(event: Mapping[str, Any], start_ms: int) -> float:
    return _since(event["received_ms"], start_ms)


def _order(history: SegmentHistory, incidents: list[list[Any]], alerts: list[list[Any]]) -> list[int]:
    """Corridors as they are offered: those with the most incidents first, then with the most alerts."""
    struck = Counter(int(history.corridor[each[0]]) for each in incidents if each[4] > 0)
    told = Counter(int(history.corridor[each[0]]) for each in alerts)
    numbers = range(int(history.corridor.max(initial=-1)) + 1)
    return sorted(numbers, key=lambda number: (-struck[number] * bool(told[number]), -told[number], number))
