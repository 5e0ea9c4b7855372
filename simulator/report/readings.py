"""Where every reading of a run ended. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from simulator.report import words
from simulator.report.drawing import COLOURS, Drawing

_WIDTH: Final = 480.0
# Fates as the report's accounting names them; what it names besides is shown under its own name.
_NAMES: Final = {
    "aggregated": "in a stored window",
    "stored": "in the table",
    "duplicate": "repetition, counted once",
    "late_beyond_correction": "too late for any window",
    "shed": "given up for lack of room",
    "lost_on_the_way": "lost before the gateway, as declared",
    "lost_in_crash": "lost in declared crash seconds",
    "remainder": "unaccounted for",
}


def fates(report: Mapping[str, Any]) -> dict[str, int]:
    """Readings by what became of them; empty if the report does not tell."""
    told = report.get("accounting")
    if isinstance(told, Mapping):
        return {name: count for name, count in _flat(told) if isinstance(count, int)}
    if report.get("readings_stored") is not None:
        stored, parked = report["readings_stored"], report.get("readings_parked") or 0
        return {"stored": stored, "rejected": parked, "remainder": report["readings_generated"] - stored - parked}
    if report.get("readings_accepted") is None or report.get("readings_generated") is None:
        return {}
    found = {
        "aggregated": report["readings_accepted"],
        "rejected": report.get("readings_invalid") or 0,
        "lost_in_crash": report.get("readings_lost_in_crash") or 0,
    }
    return {**found, "remainder": report["readings_generated"] - sum(found.values())}


def _flat(told: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Rejections are told by their reason, one level down."""
    found: list[tuple[str, Any]] = []
    for name, value in told.items():
        found += _flat(value, f"{before}{name}: ") if isinstance(value, Mapping) else [(f"{before}{name}", value)]
    return found


def accounting(report: Mapping[str, Any]) -> str:
    """A bar of all readings, one of those that are in no window, and the counts of both."""
    counts = fates(report)
    if not counts:
        return '<p class="empty">The readings of this run were not accounted for.</p>'
    generated = report.get("readings_generated") or sum(counts.values())
    kept = next((name for name in ("aggregated", "stored") if name in counts), "aggregated")
    whole, where = counts.pop(kept, 0), _NAMES[kept]
    others = {name: count for name, count in counts.items() if count or name == "remainder"}
    drawing = Drawing(_WIDTH, 104, f"{whole:,} of {generated:,} readings are {where}")
    rest = sum(abs(count) for count in others.values())
    edge = 4 + (_WIDTH - 8) * (whole / generated if generated else 0.0)
    drawing.rect(4, 20, max(0.0, edge - 4), 24, COLOURS[0], f"{where}: {whole:,}")
    if rest:
        drawing.rect(edge, 20, max(1.5, _WIDTH - 4 - edge), 24, COLOURS[1], f"elsewhere: {rest:,}")
        drawing.rule(edge, 44, 4, 70, dashed=True)
        drawing.rule(_WIDTH - 4, 44, _WIDTH - 4, 70, dashed=True)
    drawing.say(4, 13, f"{where}: {words.share(whole, generated)}", strong=True)
    x = 4.0
    for place, (name, count) in enumerate(others.items()):
        width = (_WIDTH - 8) * abs(count) / rest if rest else 0.0
        drawing.rect(x, 70, max(0.0, width - 1), 18, _colour(place), f"{_name(name)}: {count:,}")
        x += width
    if rest:
        drawing.say(4, 101, f"the rest enlarged: {words.plural(rest, 'reading')}")
    rows = _row("", where, whole, generated, COLOURS[0]) + "".join(
        _row(name, _name(name), count, generated, _colour(place)) for place, (name, count) in enumerate(others.items())
    )
    return (
        f'{drawing.render()}<table><thead><tr><th scope="col">reading</th><th scope="col" class="n">count</th>'
        f'<th scope="col" class="n">share</th></tr></thead><tbody>{rows}</tbody>'
        f'<tfoot><tr><th scope="row">generated</th>'
        f'<td class="n">{words.count(generated)}</td><td class="n"></td></tr></tfoot></table>'
    )


def _colour(place: int) -> str:
    return COLOURS[1 + place % (len(COLOURS) - 1)]


def _name(name: str) -> str:
    return _NAMES.get(name) or name.replace("_", " ")


def _row(key: str, name: str, count: int, generated: int, colour: str) -> str:
    bad = ' class="bad"' if key == "remainder" and count else ""
    return (
        f'<tr{bad}><th scope="row"><i class="key" style="background:{colour}" aria-hidden="true"></i>'
        f'{words.escape(name)}</th><td class="n">{words.count(count)}</td>'
        f'<td class="n">{words.share(count, generated)}</td></tr>'
    )
