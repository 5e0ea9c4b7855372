"""The incidents of the traffic model, and what was told of each. Pure.

It says what a person would have heard, and judges nobody: detection is measured over many runs by `evaluate`.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from simulator.report import words

SHOWN: Final = 12
_TOLD: Final = ("CongestionStarted", "IncidentSuspected", "IncidentDetected", "IncidentConfirmed")


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one incident.

    Parameters
    ----------
    after_s : from its beginning to the end of the window by which it was known; None if nothing was told
    before : whether its road was told of already when it began
    """

    segment: int
    start_s: float
    end_s: float
    lanes_blocked: int
    after_s: float | None
    before: bool = False


def what_was_told(data: dict[str, Any]) -> list[Told]:
    """Of each that blocked a lane: the first word on its segment or on the one before, where a queue grows."""
    upstream = {later: earlier for road in data["corridors"] for earlier, later in pairwise(road)}
    found = []
    for segment, _, start_s, end_s, lanes in data["incidents"]:
        if not lanes or start_s < 0:
            continue
        places = (segment, upstream.get(segment, segment))
        alerts = sorted((at_s, data["kinds"][kind]) for place, at_s, kind, _ in data["alerts"] if place in places)
        before = [kind for at_s, kind in alerts if at_s <= start_s]
        after = [at_s - start_s for at_s, kind in alerts if start_s < at_s <= end_s and kind in _TOLD]
        known = bool(before) and not before[-1].endswith("Cleared")
        found.append(Told(segment, start_s, end_s, lanes, after[0] if after else None, known))
    return found


def summary(data: dict[str, Any]) -> str:
    """In one sentence, and one line for each of the first."""
    told = what_was_told(data)
    if not told:
        return '<p class="note">No incident of the model blocked a lane while the run was recorded.</p>'
    after_s = [each.after_s for each in told if each.after_s is not None]
    known = sum(each.before for each in told if each.after_s is None)
    parts = [f"{words.plural(len(told), 'incident')} blocked lanes; an alert told of {len(after_s)}"]
    if after_s:
        parts.append(f"half of them within {words.duration(round(statistics.median(after_s)))}")
    if known:
        parts.append(f"{known} struck where the road was known to be congested")
    return f"<p>{', '.join(parts)}.</p>{_table(data, told[:SHOWN], len(told))}"


def _table(data: dict[str, Any], told: Sequence[Told], count: int) -> str:
    rows = "".join(
        f'<tr><th scope="row">{words.escape(_place(data, each.segment))}</th>'
        f'<td class="n">{words.clock(each.start_s)}</td><td class="n">{each.lanes_blocked}</td>'
        f"<td>{_heard(each)}</td></tr>"
        for each in told
    )
    more = f'<p class="note">The first {SHOWN} of {count:,}.</p>' if count > SHOWN else ""
    return (
        '<details><summary>Incident by incident</summary><div class="scroll"><table><thead><tr>'
        '<th scope="col">where</th>'
        '<th scope="col" class="n">began</th><th scope="col" class="n">lanes</th><th scope="col">told</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{more}</details>"
    )


def _place(data: dict[str, Any], segment: int) -> str:
    return f"{data['gateways'][data['gateway'][segment]]}, {data['districts'][data['district'][segment]]}"


def _heard(told: Told) -> str:
    if told.after_s is not None:
        return f"{words.duration(round(told.after_s))} later"
    return "known to be congested before" if told.before else "nothing in this run"
