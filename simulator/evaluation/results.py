"""What an evaluation found: figures with their intervals, by case and over all, as JSON and as tables."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from simulator.evaluation.intervals import LEVEL, RESAMPLES, Interval, bootstrap, poisson_rate, wilson
from simulator.evaluation.judging import Case, Settings
from simulator.evaluation.scoring import Score, total
from simulator.run.folder import write_whole

METHODS: Final = {
    "detection_rate": "Wilson",
    "detection_rate_of_visible": "Wilson",
    "false_alerts_per_station_hour": "exact Poisson (Garwood)",
    **dict.fromkeys(
        ("median_time_to_detect_s", "p90_time_to_detect_s", "f1", "precision", "recall"),
        f"bootstrap over cases, {RESAMPLES:,} draws",
    ),
}
_DIGITS: Final = {"median_time_to_detect_s": 1, "p90_time_to_detect_s": 1}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its 95 % interval; None where there is nothing to make it of."""

    value: float | None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one kind, which may be taken together; `pooled` and `figures` are of all of them."""

    kind: str
    cases: tuple[Case, ...]
    scores: tuple[Score, ...]
    pooled: Score
    figures: Mapping[str, Figure]


def groups(cases: Sequence[Case], scores: Sequence[Score]) -> list[Group]:
    """Simulated and recorded cases apart: they tell of different traffic."""
    found = []
    for kind in ("simulated", "recorded"):
        own = [(case, score) for case, score in zip(cases, scores, strict=True) if case.kind == kind]
        if own:
            scored = tuple(score for _, score in own)
            pooled = total(scored)
            found.append(Group(kind, tuple(case for case, _ in own), scored, pooled, _pooled_figures(scored, pooled)))
    return found


def _pooled_figures(scores: Sequence[Score], pooled: Score) -> dict[str, Figure]:
    """Those of one case, and intervals for what needs many."""
    drawn: dict[str, Callable[[Score], float | None]] = {
        "median_time_to_detect_s": lambda score: score.time_to_detect_s(0.5),
        "p90_time_to_detect_s": lambda score: score.time_to_detect_s(0.9),
        "f1": lambda score: score.f1,
        "precision": lambda score: score.precision,
        "recall": lambda score: score.recall,
    }

    def interval(figure: Callable[[Score], float | None]) -> Interval | None:
        return bootstrap(scores, lambda some: figure(total(some)))

    return figures(pooled) | {name: Figure(figure(pooled), interval(figure)) for name, figure in drawn.items()}


def figures(score: Score) -> dict[str, Figure]:
    """Of one case; what needs many cases for an interval has none."""
    return {
        "detection_rate": Figure(score.detection_rate, wilson(score.detected, score.incidents)),
        "detection_rate_of_visible": Figure(
            score.visible_detected / score.visible if score.visible else None,
            wilson(score.visible_detected, score.visible),
        ),
        "false_alerts_per_station_hour": Figure(
            score.false_alerts_per_station_hour, poisson_rate(score.false_alerts, score.station_hours)
        ),
        "median_time_to_detect_s": Figure(score.time_to_detect_s(0.5)),
        "p90_time_to_detect_s": Figure(score.time_to_detect_s(0.9)),
        "f1": Figure(score.f1),
        "precision": Figure(score.precision),
        "recall": Figure(score.recall),
    }


def as_json(found: Sequence[Group], settings: Settings) -> dict[str, Any]:
    """All figures and the counts that they are of. Nothing in it depends on the machine or on the workers."""
    return {
        "settings": asdict(settings),
        "confidence": LEVEL,
        "interval_methods": METHODS,
        **{
            group.kind: {
                "cases": [
                    {"name": case.name, **_counts(score), "figures": _told(figures(score))}
                    for case, score in zip(group.cases, group.scores, strict=True)
                ],
                "pooled": {**_counts(group.pooled), "figures": _told(group.figures)},
            }
            for group in found
        },
    }


def write_results(found: Sequence[Group], settings: Settings, path: Path) -> None:
    """Write them as JSON."""
    write_whole(path, json.dumps(as_json(found, settings), indent=1) + "\n")


def _counts(score: Score) -> dict[str, Any]:
    counts = asdict(score)
    return counts | {
        "station_hours": round(score.station_hours, 4),
        "times_to_detect_s": [round(time_s, 3) for time_s in score.times_to_detect_s],
    }


def _told(found: Mapping[str, Figure]) -> dict[str, Any]:
    def rounded(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    return {
        name: {
            "value": rounded(figure.value, _DIGITS.get(name, 4)),
            "interval": figure.interval and [rounded(end, _DIGITS.get(name, 4)) for end in figure.interval],
        }
        for name, figure in found.items()
    }


def print_results(found: Sequence[Group], console: Console) -> None:
    """As a person reads it: case by case, then over all."""
    for group in found:
        console.print(_by_case(group))
    console.print(_over_all(found))


def _by_case(group: Group) -> Table:
    table = Table(title=f"{group.kind.capitalize()}, case by case", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("found", "false", "median s", "p90 s", "F1", "prec.", "recall"):
        table.add_column(name, justify="right")
    for case, score in zip(group.cases, group.scores, strict=True):
        table.add_row(
            case.name,
            f"{score.detected} of {score.incidents}",
            f"{score.false_alerts}",
            *(_number(score.time_to_detect_s(quantile), ".0f") for quantile in (0.5, 0.9)),
            *(_number(value, ".3f") for value in (score.f1, score.precision, score.recall)),
        )
    return table


def _over_all(found: Sequence[Group]) -> Table:
    caption = "Wilson for shares of incidents, exact Poisson for false alerts, bootstrap over cases for the others"
    table = Table(title="Over all, with 95 % intervals", title_justify="left", caption=caption, caption_justify="left")
    table.add_column("")
    for group in found:
        table.add_column(group.kind, justify="right", no_wrap=True)
    table.add_row("cases", *(f"{len(group.cases)}" for group in found))
    table.add_row("incidents", *(f"{group.pooled.incidents}" for group in found))
    table.add_row("station-hours", *(f"{group.pooled.station_hours:,.0f}" for group in found))
    table.add_section()
    each = [group.figures for group in found]
    for name, label, form in ROWS:
        table.add_row(label, *(_with_interval(own[name], form) for own in each))
    return table


ROWS: Final = (
    ("detection_rate", "detection rate", ".1%"),
    ("detection_rate_of_visible", "of visible incidents", ".1%"),
    ("false_alerts_per_station_hour", "false alerts per station-hour", ".4f"),
    ("median_time_to_detect_s", "time to detect, median (s)", ".0f"),
    ("p90_time_to_detect_s", "time to detect, p90 (s)", ".0f"),
    ("f1", "congestion, F1", ".3f"),
    ("precision", "congestion, precision", ".3f"),
    ("recall", "congestion, recall", ".3f"),
)


def _with_interval(figure: Figure, form: str) -> str:
    value = _number(figure.value, form)
    if figure.interval is None:
        return value
    low, high = (format(end, form) for end in figure.interval)
    return f"{value}  ({low} to {high})"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def missed_bars(
    found: Sequence[Group], min_detection_rate: float | None, max_false_alerts: float | None, min_f1: float | None
) -> list[str]:
    """A sentence for each bar that a kind of cases misses. What cannot be told misses its bar."""
    missed = []
    for group in found:
        own = group.figures
        for name, bar, sign in (
            ("detection_rate", min_detection_rate, 1),
            ("false_alerts_per_station_hour", max_false_alerts, -1),
            ("f1", min_f1, 1),
        ):
            value = own[name].value
            if bar is not None and (value is None or sign * value < sign * bar):
                words = "at least" if sign > 0 else "at most"
                missed.append(f"{group.kind}: {name} = {_number(value, '.4f')}, wanted {words} {bar:g}")
    return missed
