"""The faults of a run on its time line with the backlog below, and what became of each. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cloud.dashboard.svg import Scale
from simulator.report import words
from simulator.report.drawing import (
    BOTTOM,
    COLOURS,
    TOP,
    WIDTH,
    Drawing,
    Times,
    thinned,
    value_axis,
)
from simulator.report.run_folder import Recording

Fault = Mapping[str, Any]

_LANE: Final = 26.0
_BACKLOG: Final = 120.0
MAX_LANES: Final = 40
MAX_TICKS: Final = 200


def planned(report: Mapping[str, Any]) -> list[Fault]:
    """The faults of the report, in the order of their beginning."""
    faults = report.get("faults")
    told = [fault for fault in faults if isinstance(fault, Mapping)] if isinstance(faults, list) else []
    return sorted(told, key=lambda fault: (fault.get("began_s") or fault.get("start_s") or 0.0, str(fault.get("name"))))


def timed(report: Mapping[str, Any]) -> list[Fault]:
    """Those that began and ended; others go on all through a run."""
    return [fault for fault in planned(report) if fault.get("duration_s") is not None]


def time_line(report: Mapping[str, Any], recording: Recording, times: Times) -> str:
    """A lane for each timed fault, and below, how many closed windows the cloud did not have yet."""
    faults = timed(report)[:MAX_LANES]
    top = TOP + _LANE * len(faults) + (14 if faults else 0)
    bottom = top + _BACKLOG
    drawing = Drawing(WIDTH, bottom + BOTTOM, "Faults over the time of the run, and windows that waited for the cloud")
    for place, fault in enumerate(faults):
        _lane(drawing, fault, report, times, TOP + place * _LANE, bottom)
    at_s, waiting = recording.columns["at_s"], recording.columns["windows_due"] - recording.columns["windows_stored"]
    scale = Scale.to(float(waiting.max(initial=0.0)), bottom, top + 6, steps=3)
    value_axis(drawing, scale, "windows waiting", top, bottom)
    times.axis(drawing, bottom)
    points = [(times(x), scale(y)) for x, y in zip(*(each.tolist() for each in thinned(at_s, waiting)), strict=True)]
    if points:
        drawing.area(points, bottom, COLOURS[0])
        drawing.path(points, COLOURS[0])

    return drawing.render()


def _lane(drawing: Drawing, fault: Fault, report: Mapping[str, Any], times: Times, y: float, bottom: float) -> None:
    began_s = _began_s(fault)
    ended_s = fault["ended_s"] if fault.get("ended_s") is not None else began_s + fault["duration_s"]
    tip = f"{fault.get('name')}, {words.clock(began_s)} to {words.clock(ended_s)}"
    left, right = times(began_s), times(ended_s)
    drawing.rect(left, y + 15, max(3.0, right - left), 7, COLOURS[1], tip)
    for entry in _moments(report, fault)[:MAX_TICKS]:
        drawing.rect(times(entry) - 1, y + 13, 2, 11, "var(--ink)", f"{fault.get('name')}, {words.clock(entry)}")
    if fault.get("began_s") is not None:  # something was done to gateways, which the backlog may show
        drawing.rule(left, y + 22, left, bottom, dashed=True)
    name = str(fault.get("name"))
    if left < WIDTH * 0.6:
        drawing.say(left, y + 11, name)
    else:
        drawing.say(left - 6, y + 22, name, anchor="end")


def _began_s(fault: Fault) -> float:
    began_s: float | None = fault.get("began_s")
    return fault["start_s"] if began_s is None else began_s


def _moments(report: Mapping[str, Any], fault: Fault) -> list[float]:
    """When something was done again and again for that fault."""
    if (fault.get("times") or 0) < 2:
        return []
    return [
        entry["at_s"]
        for entry in report.get("chaos", ())
        if not entry.get("ends") and entry.get("name") == fault.get("name")
    ]


def outcomes(report: Mapping[str, Any]) -> str:
    """A line for each fault: when, on whom, and what became of what it struck."""
    faults = planned(report)
    if not faults:
        return '<p class="empty">Nothing was broken on purpose in this run.</p>'
    items = "".join(
        f"<li><b>{words.escape(fault.get('name'))}</b><small>{words.escape(_what(fault))}</small>"
        f"<span>{words.escape(_became(fault))}</span></li>"
        for fault in faults
    )
    return f'<ul class="outcomes">{items}</ul>'


def _what(fault: Fault) -> str:
    told = [words.kind(str(fault.get("kind")))] if fault.get("kind") != fault.get("name") else []
    if fault.get("duration_s") is None:
        told.append("all through the run")
    else:
        told.append(f"{words.clock(_began_s(fault))} for {words.duration(fault['duration_s'])}")
    if fault.get("sensors"):
        told.append(words.plural(fault["sensors"], "sensor"))
    elif fault.get("gateways"):
        told.append(_whom(fault["gateways"]))
    return ", ".join(told)


def _whom(gateways: Sequence[str]) -> str:
    return gateways[0] if len(gateways) == 1 else words.plural(len(gateways), "gateway")


def _became(fault: Fault) -> str:
    told = []
    for key, one, many in (
        ("readings_struck", "reading struck", "readings struck"),
        ("readings_lost", "lost on the way", "lost on the way"),
        ("readings_late", "late, then corrected", "late, then corrected"),
        ("readings_rejected", "rejected", "rejected"),
        ("readings_at_risk", "reading at risk", "readings at risk"),
        ("messages_refused", "message refused", "messages refused"),
        ("windows_late", "window late", "windows late"),
    ):
        if fault.get(key):
            told.append(words.plural(fault[key], one, many))
    if (fault.get("times") or 0) > 1:
        told.insert(0, f"{fault['times']} times")
    if fault.get("back_after_s") is not None:
        told.append(f"all caught up {words.duration(fault['back_after_s'])} after its end")
    return "; ".join(told) or "no reading and no window was touched"
