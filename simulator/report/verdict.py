"""The verdict in one sentence, the key numbers, and what was compared with the truth. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from simulator.report import words

Report = Mapping[str, Any]
MAX_FINDINGS: Final = 10


class Outcome(StrEnum):
    """How a run ended: `unknown` where it was not verified."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


def outcome(report: Report) -> Outcome:
    match report.get("ok"):
        case True:
            return Outcome.GOOD
        case False:
            return Outcome.BAD
        case _:
            return Outcome.UNKNOWN


def sentence(report: Report) -> str:
    """What somebody has to know who reads no further."""
    match outcome(report):
        case Outcome.UNKNOWN:
            return "This run was not verified: it ended before its verdict."
        case Outcome.BAD:
            return f"Not all is well: {words.listed(_wrongs(report)) or 'the run says so, and not why'}."
    said = "Nothing is lost and nothing is wrong"
    if report.get("readings_expected"):
        said += f": all {report['readings_expected']:,} readings are in the table, each by itself"
    if report.get("windows_expected"):
        said += (
            f": all {report['windows_expected']:,} windows of {report.get('sensors', 0):,} sensors are as they must be"
        )
    taken = _taken(report)
    if taken:
        said += f", but for {words.plural(taken, 'reading')} that declared faults took"
    return said + "."


def _taken(report: Report) -> int:
    """Readings that the faults of the plan are said to have cost."""
    told = report.get("accounting")
    if isinstance(told, Mapping):
        return int(told["lost_on_the_way"] + told["lost_in_crash"] + told["shed"])
    return report.get("readings_lost_in_crash") or 0


def _wrongs(report: Report) -> list[str]:
    counts = [
        f"{words.plural(report[key], 'window is', 'windows are')} {how}"
        for key, how in (
            ("windows_missing", "missing"),
            ("windows_wrong", "wrong"),
            ("windows_unexpected", "unexpected"),
        )
        if report.get(key)
    ]
    counts += [
        f"{words.plural(report[key], 'reading is', 'readings are')} {how}"
        for key, how in (
            ("readings_missing", "missing"),
            ("readings_altered", "altered"),
            ("readings_unexpected", "unexpected"),
        )
        if report.get(key)
    ]
    problems = len(report.get("problems", ()))
    return [*counts, *([words.plural(problems, "other problem")] if problems else [])]


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A number at the top. `key` names the figure in report.json, dots between levels."""

    key: str
    label: str
    text: str


def _seconds(value: float) -> str:
    return words.number(value, "s", 2)


def _times(value: float) -> str:
    return words.number(value, "times", 2)


# Key, label, how it is written.
_FORMS: Final[tuple[tuple[str, str, Callable[[Any], str]], ...]] = (
    ("readings_generated", "readings measured", words.count),
    ("windows_stored", "windows stored", words.count),
    ("message_reduction", "times fewer messages", words.number),
    ("byte_reduction", "times fewer bytes", words.number),
    ("latency_s.p95", "window end to table, 95 %", _seconds),
    ("alert_latency_s.p95", "window end to alert, 95 %", _seconds),
    ("events_delivered", "alerts delivered", words.count),
    ("realtime_factor", "real time", _times),
)
_RAW_FORMS: Final[tuple[tuple[str, str, Callable[[Any], str]], ...]] = (
    ("readings_generated", "readings measured", words.count),
    ("readings_stored", "readings stored", words.count),
    ("messages_published", "messages published", words.count),
    ("bytes_published", "published", words.size),
    ("latency_s.p50", "reading to table, median", _seconds),
    ("latency_s.p95", "reading to table, 95 %", _seconds),
    ("rate_asked_per_s", "readings a second asked", words.number),
    ("rate_reached_per_s", "readings a second reached", words.number),
)


def key_numbers(report: Report) -> Iterator[KeyNumber]:
    """Those that the report has."""
    for key, label, form in _RAW_FORMS if report.get("mode") == "raw" else _FORMS:
        value = at(report, key)
        if value is not None:
            yield KeyNumber(key, label, form(value))


def at(report: Report, key: str) -> Any:
    """A figure of the report by its key, dots between levels; None if it is not there."""
    found: Any = report
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def header(report: Report) -> str:
    """The sentence and the numbers."""
    tiles = "".join(
        f'<div><dd data-key="{each.key}" data-value="{at(report, each.key)}">{words.escape(each.text)}</dd>'
        f"<dt>{words.escape(each.label)}</dt></div>"
        for each in key_numbers(report)
    )
    mark = {Outcome.GOOD: "OK", Outcome.BAD: "NOT OK", Outcome.UNKNOWN: "NO VERDICT"}[outcome(report)]
    return (
        f'<p class="verdict {outcome(report)}" id="verdict"><b>{mark}</b> {words.escape(sentence(report))}</p>'
        f'{_interruption(report)}<dl class="tiles">{tiles}</dl>'
    )


def _interruption(report: Report) -> str:
    if not report.get("interrupted"):
        return ""
    after, planned = (words.duration(report.get(key)) for key in ("duration_s", "duration_planned_s"))
    return f'<p class="note">The run was interrupted after {after} of {planned}; this is what it came to.</p>'


# What is compared: its name, and the keys of how much was expected, is missing, is wrong.
_CHECKS: Final = (
    ("readings in the table", "readings_expected", "readings_missing", "readings_altered"),
    ("windows in the table", "windows_expected", "windows_missing", "windows_wrong"),
    ("summaries of sensors", "sensor_summaries_expected", "sensor_summaries_missing", "sensor_summaries_wrong"),
    ("hours of segments in the lake", "lake_rows_expected", "lake_rows_missing", "lake_rows_wrong"),
    ("hours of segments in the rollup", "rollup_rows_expected", "rollup_rows_missing", "rollup_rows_wrong"),
)


def checks(report: Report) -> str:
    """What was compared with the truth, and every difference by name."""
    rows = "".join(
        _check(name, report.get(expected), report.get(missing), report.get(wrong))
        for name, expected, missing, wrong in _CHECKS
        if expected in report
    )
    delivered, due = report.get("events_delivered"), report.get("events_expected")
    if due is not None and delivered is not None:
        rows += _check("alerts in the systems' queue", due, max(0, due - delivered), max(0, delivered - due))
    if not rows:
        return '<p class="empty">This run was not compared with the truth.</p>'
    heads = "".join(f'<th scope="col" class="n">{name}</th>' for name in ("expected", "missing", "wrong"))
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">compared</th>{heads}<th></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{_findings(report)}"
    )


def _check(name: str, expected: int | None, missing: int | None, wrong: int | None) -> str:
    if expected is None:
        return f'<tr><th scope="row">{name}</th><td colspan="3"></td><td>not compared</td></tr>'
    good = not missing and not wrong
    mark = '<span class="good">right</span>' if good else '<span class="bad">differs</span>'
    numbers = "".join(f'<td class="n">{words.count(each)}</td>' for each in (expected, missing, wrong))
    return f'<tr><th scope="row">{name}</th>{numbers}<td>{mark}</td></tr>'


def _findings(report: Report) -> str:
    told = [
        f"{each.get('gateway')} {each.get('window_start_ms')}: {each.get('what')}"
        for each in report.get("findings", ())
        if isinstance(each, Mapping)
    ]
    told += [str(each) for each in report.get("problems", ())]
    if not told:
        return ""
    items = "".join(f"<li>{words.escape(each)}</li>" for each in told[:MAX_FINDINGS])
    more = f"<li>and {len(told) - MAX_FINDINGS:,} more in report.json</li>" if len(told) > MAX_FINDINGS else ""
    return f'<h3>What was found</h3><ul class="findings">{items}{more}</ul>'
