"""Gateways against single readings, from the folders of two runs of one city and one minute."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from cloud.capacity.city import City as CapacityCity
from cloud.capacity.prices import load_prices
from simulator.city.layout import City, make_city
from simulator.comparison import statistics
from simulator.comparison.errors import Errors, errors
from simulator.comparison.statistics import Statistics
from simulator.planning.plan import as_operated, make_plan
from simulator.run.report import read_report
from simulator.verification.kept import kept_windows
from simulator.verification.readings import StoredReadings
from simulator.verification.record import RunRecord, read_record

SKETCH_ERROR_PERCENT: Final = 1.0
_SAME: Final = ("sensors", "gateways", "seed")  # of two runs, or they are of two cities
_SUMS: Final = ("vehicle_count",)
_QUANTILES: Final = ("p15_kmh", "p50_kmh", "p85_kmh")

Comparison = dict[str, Any]


class ComparisonError(ValueError):
    """Two runs that cannot be compared; the message says why and what to do."""


def compare(edge_folder: Path, raw_folder: Path, city_sensors: int) -> Comparison:
    """All that `compare.json` says.

    Parameters
    ----------
    city_sensors : of the city that costs are told for besides this one

    Raises
    ------
    ComparisonError, ArchiveError, OSError, ValueError
        The folders hold no two runs that can be compared.
    """
    edge_run, raw_run = read_record(edge_folder), read_record(raw_folder)
    _see_that_they_are_alike(edge_run, raw_run)
    edge_report, raw_report = read_report(edge_folder / "report.json"), read_report(raw_folder / "report.json")
    city = make_city(edge_run.sensors, edge_run.gateways, edge_run.seed)
    edge, raw = both_statistics(edge_folder, edge_run, raw_folder, raw_run, city)
    found = errors(edge, raw)
    edge_sent = _sent(edge_report, edge_run.gateways)
    raw_sent = _sent(raw_report, edge_run.sensors)
    return {
        "ok": bool(edge_report["ok"] and raw_report["ok"] and agree(found)),
        "sensors": edge_run.sensors,
        "gateways": edge_run.gateways,
        "seed": edge_run.seed,
        "duration_s": min(edge_run.duration_s, raw_run.duration_s),
        "window_s": edge_run.window_s,
        "edge": edge_sent | {"reading_to_table_s": _age_of_readings_s(edge_report, edge_run.window_s)},
        "raw": raw_sent
        | {
            "reading_to_table_s": raw_report["latency_s"],
            "rate_asked_per_s": raw_report["rate_asked_per_s"],
            "rate_reached_per_s": raw_report["rate_reached_per_s"],
            "bottleneck": raw_report["bottleneck"],
        },
        "times_fewer": {name: round(raw_sent[name] / edge_sent[name], 1) for name in edge_sent if edge_sent[name]},
        "costs": [
            _cost(CapacityCity(edge_run.sensors, edge_run.gateways, edge_run.window_s)),
            _cost(CapacityCity.of_sensors(city_sensors, edge_run.window_s)),
        ],
        "errors": asdict(found),
        "busiest": _busiest(edge, raw, city),
    }


def both_statistics(
    edge_folder: Path, edge_run: RunRecord, raw_folder: Path, raw_run: RunRecord, city: City
) -> tuple[Statistics, Statistics]:
    """Of all windows, or of those that lie in what both runs measured if one of them ended earlier."""
    edge = statistics.of_windows(kept_windows(edge_folder))
    readings = StoredReadings.read(raw_folder)
    segments = list(city.segments())
    segment_of_sensor = np.repeat([s.number for s in segments], [len(s.sensor_ids) for s in segments])
    later_ms = edge_run.start_ms - raw_run.start_ms
    lengths = sorted(set(edge.window_ms.tolist())) or [1000 * edge_run.window_s]
    if len(lengths) > 1:
        raise ComparisonError("the run with gateways merged windows in an outage: compare one without --chaos")
    raw = statistics.of_readings(readings, segment_of_sensor, lengths[0], later_ms)
    if edge_run.duration_s == raw_run.duration_s:
        return edge, raw
    until_ms = edge_run.start_ms + 1000 * min(edge_run.duration_s, raw_run.duration_s)
    return tuple(each.rows(each.window_start_ms + each.window_ms <= until_ms) for each in (edge, raw))  # type: ignore[return-value]


def agree(found: Errors) -> bool:
    """Whether gateways lost nothing but what a sketch may: sums are the same, quantiles within its bound."""
    nothing_lacks = not (found.only_edge or found.only_raw or any(each.unlike for each in found.of.values()))
    sums = all(found.of[name].exact == found.of[name].compared for name in _SUMS)
    bound = SKETCH_ERROR_PERCENT * (1 + 1e-9)
    return nothing_lacks and sums and all(found.of[name].most_percent <= bound for name in _QUANTILES)


def _see_that_they_are_alike(edge: RunRecord, raw: RunRecord) -> None:
    for run, mode, flag in ((edge, "edge", "--edge"), (raw, "raw", "--raw")):
        if run.options.get("mode", "edge") != mode:
            raise ComparisonError(f"{flag} is the folder of a run with --mode {run.options.get('mode')}")
    for name in _SAME:
        if getattr(edge, name) != getattr(raw, name):
            raise ComparisonError(
                f"the runs are of two cities: --{name} {getattr(edge, name)} and {getattr(raw, name)}; "
                "run both with the same flags, or let compare run them"
            )
    if edge.options.get("scenario") != raw.options.get("scenario"):
        raise ComparisonError("the runs are of two days: run both with the same --scenario")


def _sent(report: Mapping[str, Any], connections: int) -> dict[str, float]:
    return {
        "connections": connections,
        "messages": report["messages_published"],
        "bytes": report["bytes_published"],
        **report["metered"],
    }


def _age_of_readings_s(report: Mapping[str, Any], window_s: int) -> dict[str, float | None]:
    """When a reading's window is in the table: it waits for the end of its window first, half of it in the median."""
    latency = report["latency_s"]
    if latency["p50"] is None:
        return {"p50": None, "p95": None, "max": None}
    waits = {"p50": 0.5 * window_s, "p95": 0.95 * window_s, "max": float(window_s)}
    return {name: round(latency["max" if name == "max" else "p50"] + wait, 3) for name, wait in waits.items()}


def _cost(city: CapacityCity) -> dict[str, Any]:
    """A month, by the capacity model."""
    plan = make_plan(city, as_operated(), load_prices())
    return {
        "sensors": city.sensors,
        "gateways": city.gateways,
        "edge_usd": round(plan.ours.usd, 2),
        "edge_way_of_a_window_usd": round(plan.way_of_a_window_usd, 2),
        "raw_usd": round(plan.first.usd, 2),
        "raw_at_its_best_usd": round(plan.fairer.usd, 2),
    }


def _busiest(edge: Statistics, raw: Statistics, city: City) -> dict[str, Any]:
    """The course of the segment whose speed varied most, as both told it."""
    spread: dict[int, float] = {}
    for number in np.unique(raw.segment).tolist():
        speeds = raw.space_mean_kmh[raw.segment == number]
        speeds = speeds[~np.isnan(speeds)]
        spread[number] = float(np.ptp(speeds)) if len(speeds) > 1 else 0.0
    if not spread:
        return {}
    number = max(spread, key=lambda each: spread[each])
    name = next(segment.segment_id for segment in city.segments() if segment.number == number)
    own, exact = edge.rows(edge.segment == number), raw.rows(raw.segment == number)
    return {
        "segment": name,
        "window_start_ms": exact.window_start_ms.tolist(),
        "raw_kmh": [None if np.isnan(v) else round(v, 3) for v in exact.space_mean_kmh.tolist()],
        "edge_kmh": [
            None if np.isnan(v) else round(v, 3)
            for start in exact.window_start_ms.tolist()
            for v in [*own.space_mean_kmh[own.window_start_ms == start].tolist(), np.nan][:1]
        ],
    }
