"""The rules of scoring, each by the smallest case that it decides."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from simulator.evaluation.labels import Labels, TrueIncident
from simulator.evaluation.scoring import Score, StatesTold, Told, score, total

STATIONS = tuple(f"E{place:02d}" for place in range(15))
START_S, END_S = 3600.0, 4200.0
INCIDENT = TrueIncident("0", "EB", 10, ("E10",), 1, START_S, END_S)


def labels(*incidents: TrueIncident, slow: Sequence[tuple[int, int]] = ()) -> Labels:
    """Two hours of free flow on 15 stations, but for minutes and stations that are slow."""
    speed_kmh = np.full((120, len(STATIONS)), 100.0)
    for minute, station in slow:
        speed_kmh[minute, station] = 40.0
    return Labels({"EB": STATIONS}, incidents or (INCIDENT,), 60.0 * np.arange(120), speed_kmh, 100.0)


def told(station: int, detected_s: float, ended_s: float | None = None) -> Told:
    return Told(STATIONS[station], detected_s, detected_s + 30 if ended_s is None else ended_s)


def judged(*events: Told) -> Score:
    return score(labels(), events, {})


@pytest.mark.parametrize(
    ("station", "at_s", "detected", "false"),
    [
        (10, START_S + 90, 1, 0),
        (8, START_S + 90, 1, 0),
        (11, START_S + 90, 1, 0),
        (7, START_S + 90, 0, 0),  # the queue, but too far upstream to have detected it
        (12, START_S + 90, 0, 1),
        (2, START_S + 90, 0, 0),
        (1, START_S + 90, 0, 1),
        (10, START_S - 1, 0, 1),
        (10, END_S + 60, 1, 0),
        (10, END_S + 61, 0, 0),
        (10, END_S + 600, 0, 0),
        (10, END_S + 601, 0, 1),
    ],
)
def test_where_and_when_an_alert_detects_or_is_false(station: int, at_s: float, detected: int, false: int) -> None:
    found = judged(told(station, at_s))

    assert (found.detected, found.false_alerts, found.alerts) == (detected, false, 1)


def test_time_to_detect_is_that_of_the_first_alert() -> None:
    assert judged(told(10, START_S + 200, START_S + 210), told(8, START_S + 150)).times_to_detect_s == (150.0,)


def test_an_alert_that_stood_before_hides_the_incident_and_is_false() -> None:
    found = judged(told(10, START_S - 300, START_S - 200), told(9, START_S + 100))

    assert (found.alerts, found.detected, found.false_alerts) == (1, 0, 1)
    assert (found.events, found.false_events) == (2, 1)


def test_an_event_follows_its_queue_from_the_last_event_not_the_first() -> None:
    queue = [told(10 - 3 * step, START_S + 60 + 60 * step) for step in range(3)]

    assert judged(*queue).alerts == 1
    assert judged(queue[0], queue[2]).alerts == 2


def test_what_is_still_open_lasts_until_the_end() -> None:
    still_open = Told("E10", START_S + 60, None)

    assert judged(still_open, told(10, 7000.0)).alerts == 1
    assert judged(told(10, START_S + 60), told(10, 7000.0)).alerts == 2


def test_only_what_slows_somebody_is_visible() -> None:
    unseen = score(labels(slow=[(61, 10)]), [], {})
    seen = score(labels(slow=[(61, 10), (64, 10)]), [told(10, START_S + 60)], {})

    assert (unseen.incidents, unseen.visible, unseen.detected) == (1, 0, 0)
    assert (seen.visible, seen.visible_detected) == (1, 1)


def test_events_of_other_roads_are_left_out() -> None:
    assert judged(Told("W03", START_S + 60, None)).events == 0


def states(*known: tuple[float, bool]) -> dict[str, StatesTold]:
    times, congested = zip(*known, strict=True)
    return {"E05": StatesTold(np.array(times), np.array(congested))}


def minutes(found: Score) -> tuple[int, int, int]:
    return found.right, found.wrong, found.missed


def test_a_state_counts_from_when_it_is_known_and_for_five_minutes() -> None:
    truth = labels(slow=[(minute, 5) for minute in range(10, 20)])

    # Known at 660 s, the end of minute 10; held until 960 s, the end of minute 15.
    assert minutes(score(truth, [], states((660.0, True)))) == (6, 0, 4)
    assert minutes(score(truth, [], states((660.1, True)))) == (5, 0, 5)
    assert minutes(score(truth, [], states((660.0, True), (900.0, False)))) == (4, 0, 6)
    assert minutes(score(truth, [], states((600.0, True)))) == (5, 1, 5)


def test_a_minute_without_vehicles_is_not_congested() -> None:
    truth = labels()
    truth.speed_kmh[10, 5] = np.nan

    assert minutes(score(truth, [], states((660.0, True), (670.0, False)))) == (0, 1, 0)


def test_counts_add_and_figures_are_of_the_sums() -> None:
    one = Score(station_hours=10, incidents=4, detected=3, false_alerts=1, times_to_detect_s=(1.0, 2.0, 6.0), right=8)
    both = total([one, replace(one, times_to_detect_s=(3.0,), detected=1, wrong=4, missed=4)])

    assert (both.detection_rate, both.false_alerts_per_station_hour) == (0.5, 0.1)
    assert (both.time_to_detect_s(0.5), both.f1, both.precision, both.recall) == (2.5, 0.8, 0.8, 0.8)


def test_nothing_has_no_figures() -> None:
    none = total([])

    assert none.detection_rate is none.f1 is none.precision is none.false_alerts_per_station_hour is None
    assert none.time_to_detect_s(0.9) is None
