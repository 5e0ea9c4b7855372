"""A lake with a week that never was, to look at dashboards: rush hours, a weekend, incidents, faults and an outage.

No reading is simulated: the sums that a rollup would have made are drawn at once from a demand curve and the road's
fundamental diagram. It is for pictures; what is true of real windows is checked by `simulator run`.
"""

import csv
import datetime as dt
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from cloud import lake_tables
from cloud.lake_tables import LakeTable
from simulator.city.layout import City, SegmentPlan, make_city

HOUR_MS: Final = 3_600_000
DAYS: Final = 7
_WINDOW_MS: Final = 60_000
_LENGTH_M: Final = {"freeway": 600.0, "ramp": 200.0, "arterial": 300.0}
_CAPACITY_VPH: Final = {"freeway": 1900.0, "ramp": 1500.0, "arterial": 750.0}  # of a lane
# Share of capacity that is asked for, by hour: a working day and a day of the weekend.
_WORKDAY_PERCENT: Final = "10 7 6 7 15 35 65 95 100 80 68 66 68 68 72 85 98 106 90 65 45 35 27 17"
_WEEKEND_PERCENT: Final = "16 12 8 6 7 10 16 24 36 50 62 70 72 70 68 68 68 66 60 50 40 32 28 22"
_WORKDAY, _WEEKEND = ([int(each) / 100 for each in curve.split()] for curve in (_WORKDAY_PERCENT, _WEEKEND_PERCENT))
_FAULTS: Final = ("silent", "stuck_on", "undercount", "chatter", "constant")


@dataclass(frozen=True, slots=True)
class _Hour:
    """What one hour of a segment was like."""

    lane_flow_vph: float
    speed_kmh: float
    congested_share: float


class MadeUpLake:
    """Writes the tables of a made-up week, laid out as in the lake's bucket, up to `now_ms`."""

    def __init__(self, city: City, now_ms: int, seed: int, time_zone: str) -> None:
        self._city = city
        self._now_ms = now_ms
        self._zone = ZoneInfo(time_zone)
        self._rng = np.random.default_rng(seed)
        self._segments = [(gateway, segment) for gateway in city.gateways for segment in gateway.segments]
        # Some roads are asked for more than others, and a corridor's neighbours alike.
        steps = self._rng.normal(0, 0.06, len(self._segments))
        self._load = 0.86 + np.convolve(steps, np.ones(9), mode="same").clip(-0.3, 0.28)
        midnight = dt.datetime.fromtimestamp(now_ms / 1000, self._zone).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        self._first_ms = int(midnight.timestamp()) * 1000 - DAYS * 24 * HOUR_MS
        self._silent = {city.gateways[len(city.gateways) // 3].gateway_id: (2 * 24 + 9, 2 * 24 + 13)}

    def write(self, folder: Path) -> None:
        """Write every table."""
        _write_csv(folder / lake_tables.SEGMENTS_KEY, lake_tables.SEGMENTS, self._catalogue())
        hours = list(self._hourly())
        _write(folder, lake_tables.HOURLY, hours)
        _write(folder, lake_tables.DAILY, self._daily(hours))
        _write(folder, lake_tables.SEGMENT_WINDOWS, self._windows())
        _write(folder, lake_tables.SENSOR_INTERVALS, self._intervals())
        _write(folder, lake_tables.EVENTS, self._events())

    def _catalogue(self) -> Iterator[dict[str, Any]]:
        for gateway, segment in self._segments:
            yield {
                "segment": segment.number,
                "segment_id": segment.segment_id,
                "gateway": gateway.gateway_id,
                "district": gateway.district,
                "road_class": segment.road_class,
                "lanes": segment.lanes,
                "length_m": _LENGTH_M[segment.road_class],
                "free_flow_kmh": segment.free_flow_kmh,
                "latitude": segment.latitude,
                "longitude": segment.longitude,
                "downstream": "" if segment.downstream is None else segment.downstream,
            }

    def _hour(self, segment: SegmentPlan, start_ms: int) -> _Hour:
        instant = dt.datetime.fromtimestamp(start_ms / 1000, self._zone)
        curve = _WORKDAY if instant.weekday() < 5 else _WEEKEND
        friday = 1.06 if instant.weekday() == 4 and instant.hour > 11 else 1.0
        demand = curve[instant.hour] * self._load[segment.number] * friday * self._rng.normal(1.0, 0.03)
        capacity = _CAPACITY_VPH[segment.road_class]
        if demand <= 0.93:
            ratio = 1.0 - 0.14 * demand**3
            congested = max(0.0, self._rng.normal(0.004, 0.01))
        else:  # a queue discharges less than capacity, and the slower the more is asked for
            excess = min((demand - 0.93) / 0.22, 1.0)
            ratio = 0.80 - 0.48 * excess
            congested = float(np.clip(0.15 + 0.75 * excess + self._rng.normal(0, 0.05), 0, 1))
            demand = 0.90
        if segment.road_class == "arterial":
            ratio *= 0.82  # lights
        return _Hour(capacity * demand, max(segment.free_flow_kmh * ratio, 8.0), congested)

    def _hourly(self) -> Iterator[dict[str, Any]]:
        for start_ms in range(self._first_ms, self._now_ms, HOUR_MS):
            covered_ms = min(HOUR_MS, self._now_ms - start_ms)
            for gateway, segment in self._segments:
                silent = self._silent.get(gateway.gateway_id)
                if silent and silent[0] <= (start_ms - self._first_ms) // HOUR_MS < silent[1]:
                    continue
                hour = self._hour(segment, start_ms)
                yield {
                    "dt": _day(start_ms),
                    "hour_start_ms": start_ms,
                    "hour_of_day": start_ms // HOUR_MS % 24,
                    "segment": segment.number,
                    "congested_ms": round(covered_ms * hour.congested_share),
                    **self._sums(segment, hour, covered_ms),
                }

    def _sums(self, segment: SegmentPlan, hour: _Hour, covered_ms: int) -> dict[str, Any]:
        sensors = len(segment.sensor_ids)
        observed_ms = sensors * covered_ms
        vehicles = int(self._rng.poisson(hour.lane_flow_vph * observed_ms / HOUR_MS))
        readings = observed_ms // 1000
        return {
            "covered_ms": covered_ms,
            "vehicle_count": vehicles,
            "vehicles_without_speed": 0,
            "pace_sum_ms_per_km": round(vehicles * 3.6e6 / hour.speed_kmh),
            "observed_ms": observed_ms,
            "readings_accepted": readings,
            "readings_duplicate": int(self._rng.binomial(readings, 0.001)),
            "readings_late": int(self._rng.binomial(readings, 0.004)),
            "readings_rejected": int(self._rng.binomial(readings, 0.0001)),
            "sensors_reporting": sensors,
            "average_speed_kmh": hour.speed_kmh if vehicles else None,
        }

    def _daily(self, hours: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        days: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for hour in hours:
            days.setdefault((hour["dt"], hour["segment"]), []).append(hour)
        for (day, segment), rows in days.items():
            added = ("covered_ms", "congested_ms", "vehicle_count", "pace_sum_ms_per_km", "observed_ms")
            sums = {name: sum(row[name] for row in rows) for name in added}
            speeds = np.repeat(
                [row["average_speed_kmh"] or 0 for row in rows], [row["vehicle_count"] // 50 for row in rows]
            )
            spread: npt.NDArray[np.float64] = speeds * self._rng.normal(1, 0.1, len(speeds))
            p15, p50, p85 = np.percentile(spread, [15, 50, 85]).tolist() if len(spread) else (None, None, None)
            yield {
                "dt": day,
                "segment": segment,
                **sums,
                "vehicles_without_speed": 0,
                "average_speed_kmh": 3.6e6 * sums["vehicle_count"] / max(sums["pace_sum_ms_per_km"], 1),
                "p15_kmh": p15,
                "p50_kmh": p50,
                "p85_kmh": p85,
            }

    def _windows(self) -> Iterator[dict[str, Any]]:
        """The last hour, a minute a window."""
        last_ms = self._now_ms - self._now_ms % _WINDOW_MS
        for gateway, segment in self._segments:
            hour = self._hour(segment, last_ms)
            rhythm = self._rng.uniform(0, 60)
            for step in range(60):
                start_ms = last_ms - HOUR_MS + step * _WINDOW_MS
                congested = (step + rhythm) % 60 < 60 * hour.congested_share
                speed = hour.speed_kmh * (0.6 if congested else 1.1) * self._rng.normal(1, 0.04)
                now = _Hour(hour.lane_flow_vph, speed, 0)
                yield {
                    "dt": _day(start_ms),
                    "hour": f"{start_ms // HOUR_MS % 24:02}",
                    "gateway": gateway.gateway_id,
                    "epoch_ms": self._first_ms,
                    "window_start_ms": start_ms,
                    "window_ms": _WINDOW_MS,
                    "revision": 0,
                    "received_ms": start_ms + _WINDOW_MS + 700,
                    "segment": segment.number,
                    "congestion_state": "congested" if congested else "free",
                    "congestion_level": round(100 * max(0.0, 1 - speed / segment.free_flow_kmh)),
                    **{
                        k: v
                        for k, v in self._sums(segment, now, _WINDOW_MS).items()
                        if k not in ("covered_ms", "average_speed_kmh")
                    },
                }

    def _intervals(self) -> Iterator[dict[str, Any]]:
        """Every sensor by the hour; a few fall ill and are mended."""
        ill: dict[int, tuple[str, int, int]] = {}
        for gateway in self._city.gateways:
            numbers = gateway.first_sensor_number + np.flatnonzero(self._rng.random(gateway.sensor_count) < 0.02)
            for number in numbers.tolist():
                fault = _FAULTS[int(self._rng.choice(len(_FAULTS), p=[0.4, 0.2, 0.2, 0.1, 0.1]))]
                start = int(self._rng.integers(0, DAYS * 24))
                ill[number] = fault, start, start + int(self._rng.exponential(40)) + 2
        for gateway in self._city.gateways:
            for hour in range((self._now_ms - self._first_ms) // HOUR_MS):
                start_ms = self._first_ms + hour * HOUR_MS
                for number in range(gateway.first_sensor_number, gateway.first_sensor_number + gateway.sensor_count):
                    fault, begins, ends = ill.get(number, ("", 0, 0))
                    faulty = begins <= hour < ends
                    yield {
                        "dt": _day(start_ms),
                        "gateway": gateway.gateway_id,
                        "epoch_ms": self._first_ms,
                        "interval_start_ms": start_ms,
                        "interval_ms": HOUR_MS,
                        "sensor": number,
                        "fault": fault if faulty else None,
                        "observed_ms": 0
                        if faulty and fault == "silent"
                        else HOUR_MS - int(self._rng.integers(0, 40_000)),
                    }

    def _events(self) -> Iterator[dict[str, Any]]:
        """Two or three incidents a day, most of them confirmed and cleared."""
        freeways = [(gateway, segment) for gateway, segment in self._segments if segment.road_class == "freeway"]
        for day in range(DAYS + 1):
            for _ in range(int(self._rng.integers(2, 4))):
                gateway, segment = freeways[int(self._rng.integers(len(freeways)))]
                hour = float(self._rng.choice([8, 9, 12, 16, 17, 18])) + self._rng.uniform(-1, 1)
                start_ms = self._first_ms + round((day * 24 + hour) * HOUR_MS)
                confirmed = self._rng.random() < 0.75
                steps = [("IncidentSuspected", 0.0, "minor")]
                wait_min = float(self._rng.uniform(1, 4))
                steps += [("IncidentConfirmed", wait_min, "critical")] if confirmed else []
                steps.append(("IncidentCleared", wait_min + float(self._rng.gamma(3, 9 if confirmed else 2)), "info"))
                speed = float(self._rng.uniform(9, 34))
                for kind, after_min, severity in steps:
                    occurred_ms = start_ms + round(after_min * 60_000)
                    if occurred_ms < self._now_ms:
                        yield {
                            "dt": _day(occurred_ms),
                            "event_id": f"{gateway.gateway_id}:{kind}:{occurred_ms}",
                            "kind": kind,
                            "gateway": gateway.gateway_id,
                            "segment_id": segment.segment_id,
                            "segment_number": segment.number,
                            "occurred_ms": occurred_ms,
                            "started_ms": start_ms,
                            "average_speed_kmh": round(speed, 1),
                            "severity": severity,
                            "headline": f"{kind} below {segment.segment_id}",
                            "notify": True,
                        }


def make_lake(folder: Path, *, sensors: int, gateways: int, seed: int, now_ms: int, time_zone: str) -> None:
    """Write a made-up week of such a city, up to `now_ms`, into `folder`."""
    MadeUpLake(make_city(sensors=sensors, gateways=gateways, seed=seed), now_ms, seed, time_zone).write(folder)


def _day(instant_ms: int) -> str:
    return dt.datetime.fromtimestamp(instant_ms / 1000, dt.UTC).strftime("%Y-%m-%d")


def _write(folder: Path, table: LakeTable, rows: Iterable[Mapping[str, Any]]) -> None:
    """One object for each partition, its keys in the path alone."""
    keys = [partition.name for partition in table.partitions]
    parts: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        document = json.dumps({name: value for name, value in row.items() if name not in keys})
        parts.setdefault(tuple(row[key] for key in keys), []).append(document)
    for values, lines in parts.items():
        path = folder / table.prefix / "/".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        path.mkdir(parents=True, exist_ok=True)
        with gzip.open(path / "rows.json.gz", "wt", compresslevel=3) as file:
            file.write("\n".join(lines) + "\n")


def _write_csv(path: Path, table: LakeTable, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in table.columns])
        writer.writeheader()
        writer.writerows(rows)
