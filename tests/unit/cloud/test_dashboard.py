"""The page without QuickSight: what it sums up, what it says, what it draws."""

import datetime as dt
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from cloud.dashboard import charts, page, sums, words
from cloud.dashboard.svg import Scale, mixed
from cloud.insights import board, queries
from cloud.insights.visuals import AnyVisual, Bars, Figure, HeatMap, Lines, Map, Table

NOW = dt.datetime(2026, 11, 25, 17, 0, tzinfo=dt.UTC)
VISUALS = {visual.key: visual for sheet in board.SHEETS for visual in sheet.visuals()}
NOTHING: dict[str, list[sums.Row]] = {query.name: [] for query in queries.load_all()}


def hour(day: int, hour_of_day: int, **columns: Any) -> sums.Row:
    """A row of network_by_hour, of a Monday (day 2) or later in November 2026."""
    start = dt.datetime(2026, 11, day, hour_of_day)  # noqa: DTZ001 - the city's time
    traffic = {"vehicle_km": 100.0, "travel_h": 2.0, "free_flow_h": 1.0, "delay_h": 1.0}
    return {
        "hour_start": start,
        "weekday": start.isoweekday(),
        "weekday_name": f"{start:%a}",
        "hour_of_day": hour_of_day,
        "district": "Harbour",
        "road_class": "freeway",
        "covered_h": 10.0,
        "congested_h": 1.0,
        **traffic,
        **columns,
    }


def test_a_ratio_is_that_of_the_sums_and_no_mean_of_ratios() -> None:
    query = queries.load("network_by_hour")
    rows = [hour(2, 7, vehicle_km=900.0, travel_h=9.0), hour(2, 8, vehicle_km=100.0, travel_h=11.0)]
    assert sums.total(query, rows, "mean_speed") == 50  # (100 + 9.1) / 2 would be 54.5
    assert sums.total(query, rows, "vehicle_km") == 1000


def test_what_no_row_tells_is_none_and_not_zero() -> None:
    query = queries.load("network_by_hour")
    empty = hour(2, 3, vehicle_km=None, travel_h=None)
    assert sums.total(query, [empty], "vehicle_km") is None
    assert sums.total(query, [empty], "mean_speed") is None
    assert sums.total(query, [empty, hour(2, 4)], "mean_speed") == 50


def test_days_of_which_hours_are_missing_are_left_out_unless_there_is_no_other() -> None:
    whole = [hour(3, each) for each in range(24)]
    first, today = [hour(2, each) for each in range(5, 24)], [hour(4, each) for each in range(17)]
    assert sums.whole_days(first + whole + today, "hour_start") == whole
    assert sums.whole_days(today, "hour_start") == today


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(0.36, (0, 0.1, 0.2, 0.3, 0.4)), (12_876, (0, 5000, 10_000, 15_000)), (1, (0, 0.25, 0.5, 0.75, 1)), (0, None)],
)
def test_an_axis_has_round_steps_and_reaches_the_highest_value(highest: float, ticks: tuple[float, ...] | None) -> None:
    scale = Scale.to(highest, 100, 0)
    if ticks is None:
        assert scale(0) == 100
        return
    assert scale.ticks == pytest.approx(ticks)
    assert 0 <= scale(highest) < scale(0) == 100


def test_a_heat_scale_darkens_step_by_step() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    steps = [lightness(mixed(board.HEAT, share / 10)) for share in range(11)]
    assert steps == sorted(steps, reverse=True)
    assert mixed(board.HEAT, 0) == board.HEAT[0].lower()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0384, "share", "3.8 %"),
        (0.36, "share", "36 %"),
        (0.0, "share", "0 %"),
        (1.9444, "times", "1.94"),
        (10_271.4, "vehicle-h", "10,271 vehicle-h"),
        (2.25, "vehicle-h", "2.2 vehicle-h"),
        (None, "km/h", "-"),
    ],
)
def test_numbers_are_written_with_their_units(value: float | None, unit: str, text: str) -> None:
    assert words.number(value, unit) == text


def test_millions_are_read_at_a_glance() -> None:
    assert words.round_number(5_494_725.0, "km") == "5.49 million km"


def rows_of(key: str) -> list[sums.Row]:
    """A few rows for the visual of that key."""
    at = dt.datetime(2026, 11, 24, 16, 45)  # noqa: DTZ001 - the city's time
    live = {"district": "Harbour", "road_class": "freeway", "window_start": at, "age_s": 5.0, "free_flow_speed": 90.0}
    incident = {"district": "Harbour", "severity": "critical", "headline": "", "confirm_min": 2.0, "incidents": 1}
    quality = {
        "district": "Harbour",
        "readings": 10,
        "duplicate_readings": 0,
        "rejected_readings": 7,
        "late_readings": 1,
    }
    rows: dict[str, list[sums.Row]] = {
        "network_by_hour": [hour(2, 7), hour(5, 17, congested_h=4.0, delay_h=9.0), hour(6, 17, district="Old Town")],
        "reliability": [
            {"district": "Harbour", "travel_time_index": 1.2, "planning_time_index": 1.5, "buffer_index": 0.25},
            {"district": "Old Town", "travel_time_index": 1.3, "planning_time_index": 1.94, "buffer_index": 0.5},
        ],
        "level_of_service": [
            {"hour_of_day": 3, "level": "A", "segment_h": 5.0, "share_of_hour": 1.0},
            {"hour_of_day": 17, "level": "F", "segment_h": 1.0, "share_of_hour": 0.2},
            {"hour_of_day": 17, "level": "C", "segment_h": 4.0, "share_of_hour": 0.8},
        ],
        "worst_segments": [
            {column.name: 1.0 for column in queries.load("worst_segments").columns}
            | {"rank": 2, "segment_id": "gw-1-seg02", "delay_h": 10.0},
            {column.name: 1.0 for column in queries.load("worst_segments").columns}
            | {"rank": 1, "segment_id": "gw-1-seg01", "delay_h": 183.0},
        ],
        "live_segments": [
            {
                "segment_id": "a",
                "latitude": 54.8,
                "longitude": 2.3,
                "state": "free",
                "speed": 80.0,
                "congestion_level": 10,
            }
            | live,
            {"segment_id": "b", "latitude": 54.9, "longitude": 2.4, "state": "congested", "speed": None}
            | {"congestion_level": None, **live},
        ],
        "live_trend": [
            {
                "step_start": at + dt.timedelta(minutes=5 * step),
                "road_class": "freeway",
                "vehicle_km": 9.0,
                "travel_h": 0.1,
            }
            | {"covered_h": 2.0, "congested_h": 0.1 * step}
            for step in range(3)
        ],
        "incidents": [
            {"suspected_at": at, "segment_id": "seg-9", "status": "cleared", "duration_min": 42.0, "lowest_speed": 9.0}
            | incident,
            {"suspected_at": at - dt.timedelta(days=1), "segment_id": "seg-8", "status": "suspected"}
            | {"duration_min": None, "lowest_speed": None, **incident},
        ],
        "sensor_health": [
            {"day": at.replace(hour=0, minute=0), "fault": "stuck_on", "faulty_h": 3.0, "faulty_share": 0.005}
        ],
        "worst_sensors": [
            {"rank": 1, "sensor": 49, "gateway": "gw-1", "district": "Harbour", "fault": "stuck_on", "faulty_h": 158.0}
            | {"faulty_share": 0.84, "coverage": 0.99}
        ],
        "data_quality": [
            {
                "day": at.replace(hour=0, minute=0),
                "gateway": "gw-<1>",
                "expected_h": 100.0,
                "missing_h": 24.0,
                **quality,
            }
        ],
    }
    return rows[VISUALS[key].query]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("when-congested", "Thu 17:00 is the worst hour: 40 %"),
        ("reliability", "Old Town is worst: planning time index 1.94"),
        ("delay-by-day", "Most delay on Thu 5 Nov: 9 vehicle-h"),
        ("level-of-service", "Most level F at 17:00: 20 %"),
        ("worst-segments", "gw-1-seg01: delay 183 vehicle-h"),
        ("map", "1 of 2 segments are congested"),
        ("congestion-now", "Highest congested share at 16:55: 10 %"),
        ("incident-log", "seg-9: duration 42 min"),
        ("incidents-by-district", "Most incidents in Harbour: 2"),
        ("faults", "Highest faulty share on Tue 24 Nov: 0.5 %"),
        ("missing", "Highest missing share on Tue 24 Nov: 24 %"),
        ("worst-sensors", "Sensor 49: faulty 158 h"),
        ("worst-gateways", "gw-<1>: missing 24 segment-h"),
    ],
)
def test_a_visual_says_what_it_has_found(key: str, said: str) -> None:
    assert words.finding(VISUALS[key], rows_of(key)) == said


def test_a_table_says_the_first_number_that_it_has() -> None:
    _, suspected = rows_of("incident-log")
    assert words.finding(VISUALS["incident-log"], [suspected]) == "seg-8: confirm 2 min"


def drawn(visual: AnyVisual, rows: list[sums.Row]) -> ElementTree.Element:
    draw: dict[type, Any] = {
        HeatMap: charts.heat_map,
        Lines: charts.lines,
        Bars: charts.bars,
        Map: charts.point_map,
    }
    return ElementTree.fromstring(draw[type(visual)](visual, rows))  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("key", "tips"),
    [
        ("when-congested", ["Thu 17:00, 40 %", "Thu 07:00, -", "Mon 07:00, 10 %"]),
        ("reliability", ["Old Town Planning time index: 1.94", "Harbour Travel time index: 1.20"]),
        ("level-of-service", ["17 F: 20 %", "17 C: 80 %", "03 A: 100 %"]),
        ("map", ["a: free, congestion level 10", "b: congested, congestion level -"]),
        ("congestion-now", ["16:45 freeway: 0 %", "16:55 freeway: 10 %"]),
        ("incidents-by-district", ["Harbour cleared: 1", "Harbour suspected: 1"]),
        ("faults", ["Tue 24 Nov stuck on: 0.5 %"]),
    ],
)
def test_every_mark_tells_its_number(key: str, tips: list[str]) -> None:
    drawing = drawn(VISUALS[key], rows_of(key))
    assert set(tips) <= {title.text for title in drawing.iter("title")}


def test_a_heat_map_shows_the_whole_week_though_little_of_it_is_known() -> None:
    drawing = drawn(VISUALS["when-congested"], [hour(5, 17)])
    tips = [title.text or "" for title in drawing.iter("title")]
    assert len(tips) == 7 * 24
    assert [tip for tip in tips if not tip.endswith("-")] == ["Thu 17:00, 10 %"]


def test_ticks_are_as_round_as_they_are() -> None:
    assert [words.tick(value, "share") for value in (0, 0.05, 0.1, 0.002)] == ["0 %", "5 %", "10 %", "0.2 %"]


@pytest.mark.parametrize("key", [key for key, each in VISUALS.items() if not isinstance(each, Table | Figure)])
def test_no_mark_lies_outside_of_its_drawing(key: str) -> None:
    drawing = drawn(VISUALS[key], rows_of(key))
    _, _, width, height = (float(each) for each in drawing.attrib["viewBox"].split())
    for mark in drawing:
        for name, bound in (("x", width), ("cx", width), ("x1", width), ("y", height), ("cy", height), ("y1", height)):
            assert 0 <= float(mark.attrib.get(name, 0)) <= bound, mark.attrib


def test_stacked_bars_lie_on_top_of_each_other() -> None:
    drawing = drawn(VISUALS["level-of-service"], rows_of("level-of-service"))
    bars = {bar.findtext("title"): bar.attrib for bar in drawing.iter("rect")}
    upper, lower = bars["17 F: 20 %"], bars["17 C: 80 %"]
    assert float(upper["y"]) + float(upper["height"]) == pytest.approx(float(lower["y"]), abs=0.2)
    assert float(lower["height"]) == pytest.approx(4 * float(upper["height"]), rel=0.01)
    assert upper["fill"] == board.COLOURS["level"]["F"]


def full_page() -> str:
    answers = {visual.query: rows_of(key) for key, visual in VISUALS.items()}
    return page.render(answers, place="Stage dev & co", now=NOW)


def test_the_page_shows_every_visual_and_needs_nothing_else() -> None:
    text = full_page()
    for key in VISUALS:
        assert f'id="{key}"' in text
    assert "Nothing to show" not in text
    assert not re.findall(r"<script|<link|@import|url\(|(?:src|href)=", text)


def test_what_comes_from_the_lake_is_escaped() -> None:
    text = full_page()
    assert "gw-&lt;1&gt;" in text
    assert "gw-<1>" not in text
    assert "Stage dev &amp; co" in text


def test_a_figure_compares_the_latest_whole_day_with_the_one_before() -> None:
    rows = [hour(3, each, delay_h=1.0) for each in range(24)] + [hour(4, each, delay_h=1.5) for each in range(24)]
    rows += [hour(5, 0, delay_h=99.0)]
    text = page.render({**NOTHING, "network_by_hour": rows}, place="dev", now=NOW)
    figure = text.split('id="delay"')[1].split("</section>")[0]
    assert "<b>36 vehicle-h</b>" in figure
    assert "Wed 4 Nov, +50 % on the day before" in figure


def test_an_empty_lake_makes_a_page_that_says_so() -> None:
    text = page.render(NOTHING, place="dev", now=NOW)
    assert text.count("Nothing to show as yet.") == len(VISUALS)
