"""What the queries of cloud/sql answer on small tables, against sums made by hand and against numpy."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pytest

from cloud import lake_tables
from cloud.insights import queries
from roadside.core.congestion import level_of_service
from tests.lake import answer, empty_lake, insert

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# A Monday, midnight UTC, within the days that the queries look at.
_TODAY = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MONDAY = _TODAY - dt.timedelta(days=_TODAY.weekday() + 7)
MONDAY_MS = int(MONDAY.timestamp() * 1000)


@pytest.fixture
def lake() -> duckdb.DuckDBPyConnection:
    """Two segments of two gateways: a freeway of 3 lanes and 1 km, a street of 2 lanes and 500 m."""
    lake = empty_lake()
    insert(
        lake,
        lake_tables.SEGMENTS,
        [
            segment(1, gateway="gw-1", district="North", road_class="freeway", lanes=3, length_m=1000.0, free=100.0),
            segment(2, gateway="gw-2", district="South", road_class="arterial", lanes=2, length_m=500.0, free=50.0),
        ],
    )
    return lake


def segment(
    number: int, *, gateway: str, district: str, road_class: str, lanes: int, length_m: float, free: float
) -> dict[str, Any]:
    return {
        "segment": number,
        "segment_id": f"seg-{number}",
        "gateway": gateway,
        "district": district,
        "road_class": road_class,
        "lanes": lanes,
        "length_m": length_m,
        "free_flow_kmh": free,
        "latitude": 54.8,
        "longitude": 2.3,
    }


def sums(vehicles: int, speed_kmh: float, sensor_hours: float, **others: Any) -> dict[str, Any]:
    """Columns that windows and rollups share: all vehicles at one speed, under so many hours of sensors' time."""
    return {
        "vehicle_count": vehicles,
        "vehicles_without_speed": 0,
        "pace_sum_ms_per_km": round(vehicles * 3.6e6 / speed_kmh) if vehicles else 0,
        "observed_ms": round(sensor_hours * HOUR_MS),
        **others,
    }


def hourly(
    segment: int, start_ms: int, columns: Mapping[str, Any], covered_ms: int = HOUR_MS, congested_ms: int = 0
) -> dict[str, Any]:
    return {
        "segment": segment,
        "hour_start_ms": start_ms,
        "covered_ms": covered_ms,
        "congested_ms": congested_ms,
        "readings_accepted": 0,
        "readings_late": 0,
        "readings_duplicate": 0,
        "readings_rejected": 0,
        "dt": day(start_ms),
        **columns,
    }


def day(instant_ms: int) -> str:
    return dt.datetime.fromtimestamp(instant_ms / 1000, dt.UTC).strftime("%Y-%m-%d")


def test_distance_is_lane_flow_times_lanes_and_length_and_delay_is_time_beyond_free_flow(
    lake: duckdb.DuckDBPyConnection,
) -> None:
    # Six sensors an hour saw 3,000 vehicles at 50 km/h: 500 a lane and hour, 1,500 vehicle-km, 30 h; 15 h at free flow.
    insert(
        lake, lake_tables.HOURLY, [hourly(1, MONDAY_MS + 8 * HOUR_MS, sums(3000, 50.0, 6.0), congested_ms=HOUR_MS // 4)]
    )
    (row,) = answer(lake, queries.load("network_by_hour"))
    assert row["hour_start"] == MONDAY.replace(hour=8, tzinfo=None)
    assert (row["weekday"], row["weekday_name"], row["hour_of_day"]) == (1, "Mon", 8)
    assert (row["district"], row["road_class"]) == ("North", "freeway")
    assert row["vehicle_km"] == pytest.approx(1500)
    assert row["travel_h"] == pytest.approx(30)
    assert row["free_flow_h"] == pytest.approx(15)
    assert row["delay_h"] == pytest.approx(15)
    assert (row["covered_h"], row["congested_h"]) == (1, 0.25)


def test_half_an_hour_without_windows_is_not_made_up(lake: duckdb.DuckDBPyConnection) -> None:
    # The same flow of lanes, seen for half the time: half the distance.
    insert(lake, lake_tables.HOURLY, [hourly(1, MONDAY_MS, sums(1500, 100.0, 3.0), covered_ms=HOUR_MS // 2)])
    (row,) = answer(lake, queries.load("network_by_hour"))
    assert row["vehicle_km"] == pytest.approx(750)
    assert row["delay_h"] == pytest.approx(0, abs=1e-9)
    assert row["covered_h"] == 0.5


def test_a_segment_faster_than_free_flow_makes_no_delay_good(lake: duckdb.DuckDBPyConnection) -> None:
    rows = [hourly(1, MONDAY_MS, sums(600, 120.0, 6.0)), hourly(2, MONDAY_MS, sums(400, 25.0, 4.0))]
    insert(lake, lake_tables.HOURLY, rows)
    delays = {row["district"]: row["delay_h"] for row in answer(lake, queries.load("network_by_hour"))}
    # South: 100 a lane and hour on 2 lanes of 500 m, 100 vehicle-km, at 25 instead of 50 km/h.
    assert delays == {"North": 0.0, "South": pytest.approx(2.0)}


def test_an_hour_without_vehicles_counts_as_covered_and_as_nothing_else(lake: duckdb.DuckDBPyConnection) -> None:
    insert(lake, lake_tables.HOURLY, [hourly(1, MONDAY_MS, sums(0, 1.0, 6.0))])
    (row,) = answer(lake, queries.load("network_by_hour"))
    assert row["covered_h"] == 1
    assert row["travel_h"] is None
    assert not answer(lake, queries.load("level_of_service"))
    assert not answer(lake, queries.load("reliability"))


def test_hours_and_weekdays_are_the_citys(lake: duckdb.DuckDBPyConnection) -> None:
    insert(lake, lake_tables.HOURLY, [hourly(1, MONDAY_MS + 22 * HOUR_MS, sums(600, 100.0, 6.0))])
    (row,) = answer(lake, queries.load("network_by_hour"), time_zone="Asia/Tokyo")
    assert (row["weekday_name"], row["hour_of_day"]) == ("Tue", 7)


def test_levels_of_service_are_those_of_the_core(lake: duckdb.DuckDBPyConnection) -> None:
    rng = np.random.default_rng(4)
    vehicles = rng.integers(1, 12_000, 200)
    speed_kmh = rng.uniform(5, 110, 200)
    rows = [
        hourly(1, MONDAY_MS + hour * HOUR_MS, sums(int(count), float(speed), 6.0))
        for hour, (count, speed) in enumerate(zip(vehicles, speed_kmh, strict=True))
    ]
    insert(lake, lake_tables.HOURLY, rows)
    # Each of six sensors watches a lane: the flow of a lane is a sixth of what they count together.
    letters = level_of_service(vehicles, speed_kmh, np.full(200, 6), HOUR_MS)
    hours = np.arange(200) % 24
    expected = {
        (int(hour), str(letter)): float(np.sum((hours == hour) & (letters == letter)))
        for hour, letter in zip(hours, letters, strict=True)
    }
    answered = answer(lake, queries.load("level_of_service"))
    assert {(row["hour_of_day"], row["level"]): row["segment_h"] for row in answered} == expected
    assert set("ABCDEF") == {row["level"] for row in answered}
    for hour in range(24):
        assert sum(row["share_of_hour"] for row in answered if row["hour_of_day"] == hour) == pytest.approx(1)


def test_the_planning_time_index_is_what_one_of_twenty_hours_exceeds(lake: duckdb.DuckDBPyConnection) -> None:
    # Twenty hours of one vehicle-km each, at 100/1, 100/1.1, ... 100/2.9 km/h.
    speeds = [100.0 / (1 + step / 10) for step in range(20)]
    rows = [hourly(1, MONDAY_MS + hour * HOUR_MS, sums(6, speed, 6.0)) for hour, speed in enumerate(speeds)]
    insert(lake, lake_tables.HOURLY, rows)
    (row,) = answer(lake, queries.load("reliability"))
    assert row["district"] == "North"
    assert row["travel_time_index"] == pytest.approx(1.95, rel=1e-5)
    assert row["planning_time_index"] == pytest.approx(2.8, rel=1e-5)
    assert row["buffer_index"] == pytest.approx(2.8 / 1.95 - 1, rel=1e-4)


def test_network_sums_are_those_of_numpy(lake: duckdb.DuckDBPyConnection) -> None:
    rng = np.random.default_rng(7)
    count = 400
    number = rng.integers(1, 3, count)
    hour = np.arange(count)
    vehicles, blind = rng.integers(1, 5000, count), rng.integers(0, 2, count)
    pace_sum = np.round((vehicles - blind) * rng.uniform(3e4, 3e5, count))
    observed_ms, covered_ms = rng.integers(1, 6 * HOUR_MS, count), rng.integers(1, HOUR_MS, count)
    columns = zip(
        *(column.tolist() for column in (number, hour, vehicles, blind, pace_sum, observed_ms, covered_ms)), strict=True
    )
    rows = [
        hourly(
            segment,
            MONDAY_MS + when * HOUR_MS,
            {
                "vehicle_count": n,
                "vehicles_without_speed": nw,
                "pace_sum_ms_per_km": int(pace),
                "observed_ms": observed,
            },
            covered_ms=covered,
        )
        for segment, when, n, nw, pace, observed, covered in columns
    ]
    insert(lake, lake_tables.HOURLY, rows)
    answered = answer(lake, queries.load("network_by_hour"))

    lanes, length_km, free = np.array([0, 3, 2]), np.array([0, 1.0, 0.5]), np.array([np.nan, 100.0, 50.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        pace_h = pace_sum / (vehicles - blind) / 3.6e6
    timed = vehicles > blind
    distance = np.where(timed, vehicles / observed_ms * covered_ms * lanes[number] * length_km[number], 0)
    travel_h = np.where(timed, distance * pace_h, 0)
    delay_h = np.where(timed, distance * np.maximum(pace_h - 1 / free[number], 0), 0)
    for name, expected in (("vehicle_km", distance), ("travel_h", travel_h), ("delay_h", delay_h)):
        assert sum(row[name] or 0 for row in answered) == pytest.approx(expected.sum(), rel=1e-12), name
    mondays = [row["delay_h"] or 0 for row in answered if row["weekday_name"] == "Mon" and row["district"] == "North"]
    assert sum(mondays) == pytest.approx(delay_h[(hour // 24 % 7 == 0) & (number == 1)].sum(), rel=1e-12)


def test_the_worst_segments_are_those_of_the_latest_day_by_delay(lake: duckdb.DuckDBPyConnection) -> None:
    def daily(segment: int, day_start_ms: int, columns: dict[str, Any]) -> dict[str, Any]:
        percentiles = {"average_speed_kmh": 25.0, "p15_kmh": 12.0, "p50_kmh": 24.0, "p85_kmh": 41.0}
        covered = {
            "covered_ms": DAY_MS,
            "congested_ms": DAY_MS // 4,
            "dt": day(day_start_ms),
            "day_start_ms": day_start_ms,
        }
        return {"segment": segment, **percentiles, **covered, **columns}

    yesterday = [daily(1, MONDAY_MS, sums(900_000, 10.0, 144.0))]
    latest = [
        daily(1, MONDAY_MS + DAY_MS, sums(14_400, 90.0, 144.0)),
        daily(2, MONDAY_MS + DAY_MS, sums(9_600, 25.0, 96.0)),
    ]
    insert(lake, lake_tables.DAILY, yesterday + latest)
    first, second = answer(lake, queries.load("worst_segments"))
    assert (first["rank"], first["segment_id"], first["district"]) == (1, "seg-2", "South")
    # 100 vehicles a lane and hour on 2 lanes of 500 m for a day: 2,400 vehicle-km, at 25 instead of 50 km/h.
    assert first["delay_h"] == pytest.approx(48)
    assert first["congested_share"] == 0.25
    assert (first["p15_speed"], first["p50_speed"], first["p85_speed"]) == (12, 24, 41)
    assert (first["day"], first["free_flow_speed"]) == (day(MONDAY_MS + DAY_MS), 50)
    # 100 a lane and hour on 3 lanes of 1 km: 7,200 vehicle-km, at 90 instead of 100 km/h.
    assert (second["rank"], second["delay_h"]) == (2, pytest.approx(8))


def test_twenty_segments_are_worst_and_no_more(lake: duckdb.DuckDBPyConnection) -> None:
    insert(
        lake,
        lake_tables.SEGMENTS,
        [
            segment(n, gateway="gw-3", district="East", road_class="freeway", lanes=1, length_m=1e3, free=99.0)
            for n in range(10, 40)
        ],
    )
    rows = [
        {"segment": n, "dt": day(MONDAY_MS), "covered_ms": DAY_MS, "congested_ms": 0, **sums(n * 100, 50.0, 24.0)}
        for n in range(10, 40)
    ]
    insert(lake, lake_tables.DAILY, rows)
    worst = answer(lake, queries.load("worst_segments"))
    assert [row["segment_id"] for row in worst] == [f"seg-{n}" for n in range(39, 19, -1)]


def test_an_incident_is_one_row_from_suspicion_to_clearance(lake: duckdb.DuckDBPyConnection) -> None:
    def event(kind: str, minute: int, severity: str, started: int = 0, segment: int = 1) -> dict[str, Any]:
        return {
            "event_id": f"{kind}:{segment}:{minute}",
            "kind": kind,
            "segment_id": f"seg-{segment}",
            "segment_number": segment,
            "occurred_ms": MONDAY_MS + minute * 60_000,
            "started_ms": MONDAY_MS + started * 60_000,
            "severity": severity,
            "headline": f"{kind} on seg-{segment}",
            "average_speed_kmh": 40.0 - minute,
            "dt": day(MONDAY_MS),
        }

    cleared = [
        event("IncidentSuspected", 0, "minor"),
        event("IncidentConfirmed", 3, "critical"),
        event("IncidentConfirmed", 3, "critical"),  # the bus tells at least once
        event("IncidentCleared", 21, "info"),
    ]
    goes_on = [event("IncidentSuspected", 30, "minor", started=30), event("IncidentConfirmed", 32, "major", started=30)]
    elsewhere = [
        event("IncidentSuspected", 5, "minor", started=5, segment=2),
        event("CongestionStarted", 5, "minor", 5, 2),
    ]
    insert(lake, lake_tables.EVENTS, cleared + goes_on + elsewhere)
    rows = {row["suspected_at"]: row for row in answer(lake, queries.load("incidents"))}
    start = MONDAY.replace(tzinfo=None)
    assert len(rows) == 3
    first, second, third = (rows[start + dt.timedelta(minutes=minute)] for minute in (0, 5, 30))
    assert (first["status"], first["confirm_min"], first["duration_min"]) == ("cleared", 3, 21)
    assert (first["severity"], first["headline"], first["lowest_speed"]) == ("critical", "IncidentCleared on seg-1", 19)
    assert (second["status"], second["confirm_min"], second["district"]) == ("suspected", None, "South")
    assert (third["status"], third["confirm_min"], third["duration_min"]) == ("confirmed", 2, None)


def test_sensors_in_fault_are_a_share_of_all_sensors_time(lake: duckdb.DuckDBPyConnection) -> None:
    def interval(sensor: int, hour: int, fault: str | None, observed: float = 1.0) -> dict[str, Any]:
        return {
            "gateway": "gw-1",
            "epoch_ms": 5,
            "interval_start_ms": MONDAY_MS + hour * HOUR_MS,
            "interval_ms": HOUR_MS,
            "sensor": sensor,
            "fault": fault,
            "observed_ms": round(observed * HOUR_MS),
            "dt": day(_TODAY.timestamp() * 1000),  # arrived late, as after an outage
        }

    rows = [interval(sensor, hour, None) for sensor in range(3) for hour in range(2)]
    rows += [interval(3, 0, "silent", 0.0), interval(3, 1, "stuck_on", 0.5)]
    insert(lake, lake_tables.SENSOR_INTERVALS, rows + rows[-1:])  # a repeated row counts once
    start = MONDAY.replace(tzinfo=None)
    health = answer(lake, queries.load("sensor_health"))
    assert sorted((row["day"], row["fault"], row["faulty_h"], row["faulty_share"]) for row in health) == [
        (start, "silent", 1, 0.125),
        (start, "stuck_on", 1, 0.125),
    ]
    (worst,) = answer(lake, queries.load("worst_sensors"))
    assert (worst["rank"], worst["sensor"], worst["district"], worst["fault"]) == (1, 3, "North", "stuck_on")
    assert (worst["faulty_h"], worst["faulty_share"], worst["coverage"]) == (2, 1, 0.25)


def test_a_gateway_that_is_silent_shows_as_missing(lake: duckdb.DuckDBPyConnection) -> None:
    readings = {"readings_accepted": 100, "readings_late": 5, "readings_duplicate": 2, "readings_rejected": 1}
    insert(
        lake,
        lake_tables.HOURLY,
        [
            hourly(1, MONDAY_MS, sums(6, 50.0, 6.0, **readings)),
            hourly(2, MONDAY_MS, sums(4, 50.0, 4.0), covered_ms=HOUR_MS // 4),
            # The newest hour is half over, and one gateway has told nothing of it.
            hourly(1, MONDAY_MS + HOUR_MS, sums(6, 50.0, 6.0, **readings), covered_ms=HOUR_MS // 2),
        ],
    )
    rows = {row["gateway"]: row for row in answer(lake, queries.load("data_quality"))}
    assert (rows["gw-1"]["expected_h"], rows["gw-1"]["missing_h"]) == (1.5, 0)
    assert (rows["gw-2"]["expected_h"], rows["gw-2"]["missing_h"], rows["gw-2"]["readings"]) == (1.5, 1.25, 0)
    told = [rows["gw-1"][f"{name}readings"] for name in ("", "late_", "duplicate_", "rejected_")]
    assert told == [200, 10, 4, 2]


def test_live_views_take_the_highest_revision_and_the_newest_window(lake: duckdb.DuckDBPyConnection) -> None:
    now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    step_ms = now_ms - now_ms % 300_000 - 300_000  # a whole step of five minutes that is over

    def window(start_ms: int, revision: int, speed_kmh: float, state: str, segment: int = 1) -> dict[str, Any]:
        return {
            "gateway": "gw-1",
            "epoch_ms": 5,
            "window_start_ms": start_ms,
            "window_ms": 60_000,
            "revision": revision,
            "received_ms": start_ms + 61_000,
            "segment": segment,
            "congestion_state": state,
            "congestion_level": 50,
            "dt": day(start_ms + 61_000),
            **sums(6, speed_kmh, 0.1),
        }

    insert(
        lake,
        lake_tables.SEGMENT_WINDOWS,
        [
            window(step_ms, 0, 10.0, "congested"),
            window(step_ms, 1, 50.0, "congested"),
            window(step_ms + 60_000, 0, 100.0, "free"),
            window(now_ms - 2 * HOUR_MS, 0, 5.0, "congested", segment=2),
        ],
    )
    (row,) = answer(lake, queries.load("live_segments"))
    assert (row["segment_id"], row["speed"], row["state"]) == ("seg-1", pytest.approx(100), "free")
    assert row["age_s"] == pytest.approx((now_ms - step_ms - 120_000) / 1000, abs=30)
    (trend,) = answer(lake, queries.load("live_trend"))
    # Two windows of a minute, six sensors each: 60 vehicles a lane and hour, 3 vehicle-km a minute, at 50 and 100 km/h.
    assert trend["vehicle_km"] == pytest.approx(6)
    assert trend["travel_h"] == pytest.approx(3 / 50 + 3 / 100)
    assert (trend["covered_h"], trend["congested_h"]) == (pytest.approx(2 / 60), pytest.approx(1 / 60))
