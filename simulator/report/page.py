"""Puts a run into one HTML file that needs nothing else: no network, no font, one small script of its own. Pure."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cloud.capacity.prices import Prices
from simulator.report import (
    city_map,
    cost,
    day,
    fault_times,
    flow,
    making,
    memory,
    raw_course,
    readings,
    verdict,
    words,
)
from simulator.report.city_data import city_data
from simulator.report.drawing import Times
from simulator.report.run_folder import RunFolder

_HERE: Final = Path(__file__).parent
_NO_SEGMENTS: Final = '<p class="empty">This run kept no segments.npz, so there is nothing to draw this from.</p>'
_NO_RECORDING: Final = '<p class="empty">This run kept no series.json, so its course is not known.</p>'


def render(folder: RunFolder, prices: Prices) -> str:
    """The page. What the run did not get to says so in its place."""
    report = folder.report
    sections = (
        _pictures(folder),
        *_course(folder),
        _section(
            "reduction", "What summing up at the roadside saves", "As counted in this run", cost.reduction(report)
        ),
        _section("cost", "What a month costs", "On AWS, dashboards for people apart", cost.monthly(report, prices)),
        _section("readings", "Where every reading ended", "Each counted once", readings.accounting(report)),
        _section("checks", "Compared with the truth", "An oracle over the raw readings", verdict.checks(report)),
        _section(
            "making", "How this run was made", "The same seed gives the same traffic", making.making(folder), wide=True
        ),
    )
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{_title(folder)}</title><style>{style}</style></head><body>'
        f"<header><h1>{_title(folder)}</h1><p>{_subtitle(folder)}</p></header>"
        f'<main>{verdict.header(report)}<div class="grid">{"".join(sections)}</div></main>'
        f"<script>{script}</script></body></html>\n"
    )


def _json(data: Mapping[str, Any] | None) -> str:
    """JSON that cannot end the script that holds it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _title(folder: RunFolder) -> str:
    sensors = folder.report.get("sensors")
    return f"Roadside: a run of {words.plural(sensors, 'sensor')}" if sensors else "Roadside: a run"


def _subtitle(folder: RunFolder) -> str:
    told = []
    report = folder.report
    if folder.recording:
        told.append(f"{dt.datetime.fromtimestamp(folder.recording.start_ms / 1000, dt.UTC):%d %b %Y %H:%M} UTC")
    if report.get("gateways"):
        told.append(words.plural(report["gateways"], "gateway"))
    if report.get("duration_s"):
        told.append(f"{words.duration(report['duration_s'])} of traffic")
    if report.get("scenario"):
        told.append(f"{report['scenario']} from {report['start_time_of_day'][:5]}")
    if report.get("seed") is not None:
        told.append(f"seed {report['seed']}")
    return words.escape(" · ".join(told))


def _city(folder: RunFolder) -> dict[str, Any] | None:
    if folder.segments is None:
        return None
    first_ms = folder.segments.window_start_ms[:1].tolist()
    start_ms = folder.recording.start_ms if folder.recording else first_ms[0] if first_ms else 0
    return city_data(folder.segments, folder.recording, start_ms)


def _pictures(folder: RunFolder) -> str:
    """The map and the road, and the data that the script draws them from."""
    data = _city(folder)
    shown, road = (city_map.city_map(data), city_map.corridor(data)) if data else (_NO_SEGMENTS, _NO_SEGMENTS)
    if folder.recording:
        shown += day.note(folder.recording.scenario, folder.recording.end_s)
    what = "What the cloud knew of every segment"
    if raw_course.is_raw(folder.report):
        return _section("map", "The city over time", what, raw_course.NO_WINDOWS, wide=True)
    return (
        _section("map", "The city over time", what, shown, wide=True)
        + _section("corridor", "Along one road", "Time to the right, the way of the traffic upwards", road, wide=True)
        + f'<script type="application/json" id="city">{_json(data)}</script>'
    )


def _course(folder: RunFolder) -> tuple[str, ...]:
    """What is drawn over the time of the run."""
    recording, report = folder.recording, folder.report
    if raw_course.is_raw(report):
        return (
            _section("latency", "How far behind", "Sensors, broker and table", raw_course.lags(report)),
            _section("throughput", "How much passes", "Each reading is a message", raw_course.published(report)),
            _section("machine", "What it took", "On this machine", raw_course.cores(report)),
        )
    latency = busy = line = machine = _NO_RECORDING
    if recording is not None and len(recording.columns["at_s"]):
        times = Times(recording.end_s, report.get("duration_s"))
        latency = flow.latency(recording, times)
        busy = flow.readings(recording, times) + flow.messages(recording, times)
        line = fault_times.time_line(report, recording, times)
        machine = flow.machine(recording, times)
    waiting = "closed windows that the cloud did not have yet"
    broken = (
        ("What was broken, and when", f"And {waiting}")
        if fault_times.timed(report)
        else ("What waited", waiting[0].upper() + waiting[1:])
    )
    what_became = "Every fault of the plan, and what goes wrong on any day"
    return (
        _section("latency", "How soon it is known", "From the end of a window to the table and to the alert", latency),
        _section("throughput", "How much passes", "What sensors measure, and what gateways send", busy),
        _section("faults", *broken, line),
        _section(
            "machine",
            "What it took",
            "The process of traffic, sensors and most gateways",
            machine + memory.table(report),
        ),
        _section("outcomes", "What became of it", what_became, fault_times.outcomes(report), wide=True),
    )


def _section(key: str, title: str, what: str, body: str, *, wide: bool = False) -> str:
    return (
        f'<section id="{key}-section" class="card{" wide" if wide else ""}" aria-labelledby="{key}-title">'
        f'<h2 id="{key}-title">{title}</h2><p class="what">{what}</p>{body}</section>'
    )
