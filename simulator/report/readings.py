"""Where every reading of a run ended. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.report import words
from simulator.report.drawing import COLOURS, Drawing

_WIDTH: Final = 480.0
_REST_COLOURS: Final = (*COLOURS[1:], "var(--c5)", "var(--c6)", "var(--c7)", "var(--unknown)")
# Places as the report's accounting names them; one that it names besides is shown under its own name.
_NAMES: Final = {
    "aggregated": "in a stored window",
    "stored": "in the table",
    "duplicates": "repetition, counted once",
    "late_beyond_correction": "too late for any window",
    "excluded": "of a sensor that its gateway did not believe",
    "shed": "given up with its window, for lack of room",
    "lost_on_the_way": "lost before the gateway, as declared",
    "lost_in_crash": "lost in a declared crash second",
    "remainder": "unaccounted for",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where readings ended: how many `kept` in the place named so, how many elsewhere, and how many there were.

    Parameters
    ----------
    whole_is : what the sum is called
    """

    kept: str
    kept_count: int
    others: Mapping[str, int]
    whole: int
    whole_is: str


def places(report: Mapping[str, Any]) -> Places | None:
    """None if the report does not tell."""
    told = report.get("accounting")
    if isinstance(told, Mapping):
        counts = {name: count for name, count in told.items() if name not in ("sent", "aggregated", "gateways")}
        return Places("aggregated", told["aggregated"], _flat(counts), told["sent"], "sent, with repetitions")
    generated, rejected = report.get("readings_generated"), report.get("readings_invalid") or 0
    kept = "stored" if "readings_stored" in report else "aggregated"
    kept_count = report.get("readings_stored", report.get("readings_accepted"))
    if generated is None or kept_count is None:
        return None
    lost = report.get("readings_lost_in_crash") or 0
    others = {"rejected": rejected, "lost_in_crash": lost, "remainder": generated - kept_count - rejected - lost}
    return Places(kept, kept_count, others, generated, "generated")


def _flat(told: Mapping[str, Any]) -> dict[str, int]:
    """Rejections are told by their reason, one level down."""
    found: dict[str, int] = {}
    for name, value in told.items():
        if isinstance(value, Mapping):
            found |= {f"{name}: {reason}": count for reason, count in value.items()}
        else:
            found[name] = value
    return found


def accounting(report: Mapping[str, Any]) -> str:
    """A bar of all readings, one of those that are elsewhere than they should be, and the counts of both."""
    told = places(report)
    if told is None:
        return '<p class="empty">The readings of this run were not accounted for.</p>'
    others = {name: count for name, count in told.others.items() if count or name == "remainder"}
    rows = _row(told.kept, told.kept_count, told.whole, COLOURS[0]) + "".join(
        _row(name, count, told.whole, _colour(place)) for place, (name, count) in enumerate(others.items())
    )
    return (
        f'{_bars(told, others)}<table><thead><tr><th scope="col">reading</th><th scope="col" class="n">count</th>'
        f'<th scope="col" class="n">share</th></tr></thead><tbody>{rows}</tbody>'
        f'<tfoot><tr><th scope="row">{told.whole_is}</th>'
        f'<td class="n">{words.count(told.whole)}</td><td class="n"></td></tr></tfoot></table>'
    )


def _bars(told: Places, others: Mapping[str, int]) -> str:
    where = _NAMES[told.kept]
    rest = sum(abs(count) for count in others.values())
    drawing = Drawing(_WIDTH, 104 if rest else 48, f"{told.kept_count:,} of {told.whole:,} readings are {where}")
    edge = 4 + (_WIDTH - 8) * (told.kept_count / told.whole if told.whole else 0.0)
    drawing.rect(4, 20, edge - 4, 24, COLOURS[0], f"{where}: {told.kept_count:,}")
    drawing.say(4, 13, f"{where}: {words.share(told.kept_count, told.whole)}", strong=True)
    if not rest:
        return drawing.render()
    drawing.rect(edge, 20, max(1.5, _WIDTH - 4 - edge), 24, COLOURS[1], f"elsewhere: {rest:,}")
    drawing.rule(edge, 44, 4, 70, dashed=True)
    drawing.rule(_WIDTH - 4, 44, _WIDTH - 4, 70, dashed=True)
    x = 4.0
    for place, (name, count) in enumerate(others.items()):
        width = (_WIDTH - 8) * abs(count) / rest
        drawing.rect(x, 70, width - 1, 18, _colour(place), f"{_name(name)}: {count:,}")
        x += width
    drawing.say(4, 101, f"the rest enlarged: {words.plural(rest, 'reading')}")
    return drawing.render()


def _colour(place: int) -> str:
    return _REST_COLOURS[place % len(_REST_COLOURS)]


def _name(name: str) -> str:
    return _NAMES.get(name) or name.replace("_", " ")


def _row(name: str, count: int, whole: int, colour: str) -> str:
    bad = ' class="bad"' if name == "remainder" and count else ""
    return (
        f'<tr{bad}><th scope="row"><i class="key" style="background:{colour}" aria-hidden="true"></i>'
        f'{words.escape(_name(name))}</th><td class="n">{words.count(count)}</td>'
        f'<td class="n">{words.share(count, whole)}</td></tr>'
    )
