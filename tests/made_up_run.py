"""A run's folder without a run: a small city, an incident whose queue grows, faults and a verdict, for the report."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from roadside.contract.summary import CongestionState, SegmentSummary, SpeedSketch, WindowSummary
from simulator.city.layout import City, make_city
from simulator.city.traffic import CityTraffic
from simulator.run.latencies import EndLatency, LatencyByEnd
from simulator.run.series import Sample, Series, write_recording

START_MS: Final = 1_795_653_350_000
DURATION_S: Final = 90
WINDOW_S: Final = 10
SENSORS, GATEWAYS, SEED = 600, 4, 3
OUTAGE_S: Final = (30, 45)

REPORT: Final[dict[str, Any]] = {
    "ok": True,
    "sensors": SENSORS,
    "gateways": GATEWAYS,
    "gateways_real": 1,
    "duration_s": DURATION_S,
    "window_s": WINDOW_S,
    "seed": SEED,
    "profile": "classic",
    "chaos": [
        {"at_s": at_s, "fault": "gateway-crash", "name": "crashes", "gateway": "gw-000"} for at_s in (50.0, 55.2)
    ],
    "faults": [
        {
            "name": "cut <cable>",
            "kind": "cloud-outage",
            "start_s": 30.0,
            "duration_s": 15.0,
            "gateways": ["gw-000", "gw-001", "gw-002", "gw-003"],
            "began_s": 30.0,
            "ended_s": 45.0,
            "windows_late": 4,
            "back_after_s": 2.5,
        },
        {
            "name": "crashes",
            "kind": "gateway-crash",
            "start_s": 50.0,
            "duration_s": 10.0,
            "gateways": ["gw-000"],
            "began_s": 50.0,
            "ended_s": 60.0,
            "times": 2,
            "readings_at_risk": 40,
        },
        {"name": "duplicates", "kind": "duplicates", "start_s": 0.0, "duration_s": None, "readings_struck": 540},
    ],
    "readings_generated": 54_020,
    "readings_invalid": 20,
    "readings_accepted": 53_960,
    "readings_lost_in_crash": 40,
    "accounting": {
        "sent": 54_560,
        "aggregated": 53_960,
        "duplicates": 530,
        "rejected": {"occupancy": 20},
        "late_beyond_correction": 0,
        "excluded": 10,
        "shed": 0,
        "lost_on_the_way": 0,
        "lost_in_crash": 40,
        "remainder": 0,
        "gateways": {},
    },
    "windows_expected": 36,
    "windows_stored": 36,
    "windows_missing": 0,
    "windows_wrong": 0,
    "windows_unexpected": 0,
    "events_expected": 2,
    "events_delivered": 2,
    "events_of_other_kinds": {},
    "sensor_summaries_expected": 8,
    "sensor_summaries_stored": 8,
    "sensor_summaries_missing": 0,
    "sensor_summaries_wrong": 0,
    "lake_rows_expected": None,
    "lake_rows_missing": None,
    "lake_rows_wrong": None,
    "messages_published": 52,
    "bytes_published": 41_000,
    "raw_messages": 54_020,
    "raw_bytes": 7_900_000,
    "message_reduction": 1038.8,
    "byte_reduction": 192.7,
    "latency_s": {"p50": 2.31, "p95": 16.8, "max": 17.1},
    "alert_latency_s": {"p50": 2.5, "p95": 2.9, "max": 3.0},
    "realtime_factor": 1.0,
    "findings": [],
    "problems": [],
}


class _Recorder:
    """What a course would have recorded."""

    def __init__(self) -> None:
        self.start_ms = START_MS
        self.series = Series()
        self._latencies = LatencyByEnd()
        for second in range(1, DURATION_S + 20):
            due = min(second // WINDOW_S, DURATION_S // WINDOW_S) * GATEWAYS
            stored = min(due, 12) if OUTAGE_S[0] <= second < OUTAGE_S[1] else due
            measured = SENSORS * min(second, DURATION_S)
            self.series.note(
                Sample(float(second), measured, stored, 900 * stored, due, stored, 2, 0.3 * second, 2 * 10**8)
            )
        for end_s in range(WINDOW_S, DURATION_S, WINDOW_S):
            late_s = max(0, OUTAGE_S[1] - end_s) if OUTAGE_S[0] < end_s < OUTAGE_S[1] else 0
            for gateway in range(GATEWAYS):
                self._latencies.add(START_MS / 1000 + end_s, 2.2 + 0.1 * gateway + late_s)

    def latencies(self) -> list[EndLatency]:
        return self._latencies.summary()


@cache
def city_and_jam() -> tuple[City, CityTraffic, int]:
    """The city, its traffic, and the segment of the first incident of the run."""
    city = make_city(SENSORS, GATEWAYS, SEED)
    traffic = CityTraffic(city, SEED)
    for _ in range(DURATION_S):
        traffic.tick()
    struck = next(each for each in traffic.incidents.incidents if each.start_s > 0)
    cells = city.segment_cells
    jam = next(n for n in range(city.segment_count) if cells[n, 0] <= struck.cell < cells[n, 1])
    return city, traffic, jam


def _windows(city: City, jam: int) -> dict[tuple[str, int], list[WindowSummary]]:
    """Traffic slower and slower at the incident, free elsewhere; nothing at all after the end of the readings."""
    stored: dict[tuple[str, int], list[WindowSummary]] = defaultdict(list)
    for place in range(DURATION_S // WINDOW_S + 1):
        for gateway in city.gateways:
            told = []
            for segment in gateway.segments:
                slow = min(0.9, 0.15 * place) if segment.number == jam else 0.05 + 0.01 * (segment.number % 7)
                pace_ms = round(3_600_000 / (segment.free_flow_kmh * (1 - slow)))
                silent = place == DURATION_S // WINDOW_S
                told.append(
                    SegmentSummary(segment.number, observed_ms=0)
                    if silent
                    else SegmentSummary(
                        segment.number,
                        SpeedSketch(300, (20,)),
                        pace_sum_ms_per_km=20 * pace_ms,
                        occupied_ms=9000,
                        observed_ms=100_000,
                        congestion_level=round(100 * slow),
                        congestion_state=CongestionState.CONGESTED if slow > 0.4 else CongestionState.FREE,
                    )
                )
            start_ms = START_MS + 1000 * WINDOW_S * place
            window = WindowSummary(gateway.gateway_id, 1, place + 1, start_ms, 1000 * WINDOW_S, tuple(told))
            stored[gateway.gateway_id, start_ms].append(window)
    return stored


def write_made_up_run(folder: Path, **changes: Any) -> dict[str, Any]:
    """Write all files of a run into `folder`; returns its report, in which `changes` replace figures."""
    folder.mkdir(parents=True, exist_ok=True)
    city, traffic, jam = city_and_jam()
    received = [
        {
            "event_id": f"e{at_s}",
            "kind": kind,
            "severity": "warning",
            "gateway": "gw-000",
            "segment_number": jam,
            "occurred_ms": START_MS + 1000 * at_s,
            "received_ms": START_MS + 1000 * at_s + 2500,
        }
        for at_s, kind in ((50, "CongestionStarted"), (60, "IncidentSuspected"))
    ]
    write_recording(folder, _Recorder(), city, traffic, received, _windows(city, jam))
    report = {**REPORT, **changes}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    options = {"sensors": SENSORS, "seed": SEED, "chaos": [], "out": "out <b>"}
    (folder / "run.json").write_text(json.dumps({"format": 1, "options": options}), encoding="utf-8")
    return report
