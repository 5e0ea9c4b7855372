"""A sensor that is not believed is left out: from the next window on, in every edition, until it is well."""

from itertools import pairwise
from typing import Final

import pytest

from roadside.core import snapshot
from roadside.core.aggregator import Aggregator, AggregatorConfig, ClosedWindow, Output
from roadside.core.health import ClassRules, HealthRules, SensorChange, SensorFault
from roadside.core.readings import NONE
from roadside.core.registry import RoadClass
from tests.unit.roadside.core.builders import T0_MS, Row, batch_of, registry_of

WINDOW_MS: Final = 10_000
RULES: Final = HealthRules(freeway=ClassRules(silent_ms=20_000, clear_ms=10_000))
CONFIG: Final = AggregatorConfig(
    allowed_lateness_ms=0, correction_delay_ms=0, correction_age_ms=600_000, sensor_interval_ms=30_000, health=RULES
)
QUIET, FAULTY, BACK = range(3), range(3, 8), range(8, 12)  # windows in which sensor 0 is silent in between


class Gateway:
    """Three lanes of one segment and one of another; of the first, lane 0 falls silent for a while."""

    def __init__(self) -> None:
        self.core = Aggregator(registry_of(3, 1), CONFIG)
        self.windows: dict[int, list[ClosedWindow]] = {}
        self.changes: list[SensorChange] = []
        self.outputs: list[Output] = []

    def feed(self, window: int, *sensors: int) -> None:
        rows = [Row(sensor, T0_MS + window * WINDOW_MS + 500, 1, 500 + 100 * sensor) for sensor in sensors]
        now_ms = T0_MS + window * WINDOW_MS + 500
        self.core.feed(batch_of(rows), now_ms, now_ms)
        self.take(self.core.advance(now_ms))

    def take(self, output: Output) -> None:
        self.outputs.append(output)
        self.changes += output.sensor_changes
        for closed in output.windows:
            self.windows.setdefault((closed.start_ms - T0_MS) // WINDOW_MS, []).append(closed)

    def run(self) -> None:
        for window in range(12):
            self.feed(window, *(range(4) if window not in FAULTY else range(1, 4)))


@pytest.fixture
def gateway() -> Gateway:
    gateway = Gateway()
    gateway.run()
    gateway.take(gateway.core.drain())
    return gateway


def test_silence_is_told_with_the_windows_that_leave_the_sensor_out(gateway: Gateway) -> None:
    begins, ends = gateway.changes

    assert (begins.sensor, begins.fault, begins.faulty) == (0, SensorFault.SILENT, True)
    assert begins.occurred_ms == begins.started_ms == T0_MS + 5 * WINDOW_MS
    assert (ends.faulty, ends.started_ms, ends.occurred_ms) == (False, begins.occurred_ms, T0_MS + 9 * WINDOW_MS)


def test_sums_leave_the_sensor_out_from_the_fault_until_the_recovery(gateway: Gateway) -> None:
    reporting = {window: int(editions[0].sums.sensors_reporting[0]) for window, editions in gateway.windows.items()}
    excluded = {window: tuple(editions[0].excluded.tolist()) for window, editions in gateway.windows.items()}

    # It sends again in window 8 and is believed from window 9 on.
    assert reporting == {**dict.fromkeys(range(12), 3), **dict.fromkeys(range(3, 9), 2)}
    assert excluded == {**dict.fromkeys(range(12), (0, 0)), **dict.fromkeys(range(5, 9), (1, 0))}


def test_correction_leaves_out_what_the_first_edition_left_out() -> None:
    gateway = Gateway()
    gateway.run()
    for window in (4, 6):
        late = Row(0, T0_MS + window * WINDOW_MS + 700, 5, 900)
        also_late = Row(1, T0_MS + window * WINDOW_MS + 1700, 2, 900)
        gateway.core.feed(batch_of([late, also_late]), T0_MS + 120_000, T0_MS + 120_000)
    gateway.take(gateway.core.advance(T0_MS + 120_000))

    before_the_fault, during_it = gateway.windows[4][-1], gateway.windows[6][-1]
    assert before_the_fault.sums.vehicle_count[0] == 2 + 5 + 2
    assert during_it.sums.vehicle_count[0] == 2 + 2
    assert (before_the_fault.revision, during_it.revision) == (1, 1)
    assert (before_the_fault.excluded[0], during_it.excluded[0]) == (0, 1)
    assert gateway.core.counters.late == 4  # what is left out has been accepted all the same


def test_corrections_of_a_restored_gateway_leave_out_the_same() -> None:
    gateway = Gateway()
    gateway.run()
    pieces = snapshot.take(gateway.core).changed
    restored = snapshot.restore(pieces, registry_of(3, 1), CONFIG, T0_MS + 120_000)

    for core in (gateway.core, restored):
        core.feed(batch_of([Row(0, T0_MS + 6 * WINDOW_MS + 700, 5, 900)]), T0_MS + 120_000, T0_MS + 120_000)
    (before,), (after,) = (core.advance(T0_MS + 120_000).windows for core in (gateway.core, restored))

    assert before.sums.vehicle_count.tolist() == after.sums.vehicle_count.tolist() == [2, 1]


def test_segment_whose_sensors_are_all_left_out_has_no_statistics() -> None:
    gateway = Gateway()
    for window in range(8):
        gateway.feed(window, *(range(1, 4) if window < 2 else range(1, 3)))
    gateway.feed(8, 1, 2, 3)
    gateway.feed(9, 1, 2)

    (edition,) = gateway.windows[8]
    assert edition.excluded.tolist() == [1, 1]
    assert edition.sums.readings_accepted.tolist() == [2, 0]
    assert edition.sums.observed_ms[1] == 0
    assert edition.sums.speed_min[1] == NONE
    assert str(edition.sums.average_speed_kmh()[1]) == str(edition.sums.occupancy()[1]) == "nan"


def test_intervals_hold_all_sensors_and_tell_who_is_left_out(gateway: Gateway) -> None:
    intervals = [interval for output in gateway.outputs for interval in output.intervals]

    assert [(i.start_ms - T0_MS, i.end_ms - T0_MS) for i in intervals] == [
        (start, start + 30_000) for start in range(0, 120_000, 30_000)
    ]
    assert [interval.readings.tolist() for interval in intervals] == [[3, 3, 3, 3], [0, 3, 3, 3], [1, 3, 3, 3], [3] * 4]
    assert [int(interval.fault[0]) for interval in intervals] == [0, SensorFault.SILENT, 0, 0]
    assert intervals[2].pace_sum.tolist() == [72_000, 180_000, 154_287, 135_000]


def test_interval_that_a_pause_cuts_short_tells_how_far_it_reaches() -> None:
    gateway = Gateway()
    gateway.feed(0, 0, 1, 2, 3)
    gateway.feed(1000, 0, 1, 2, 3)
    gateway.take(gateway.core.drain())

    spans = [
        ((i.start_ms - T0_MS) // WINDOW_MS, (i.end_ms - T0_MS) // WINDOW_MS)
        for output in gateway.outputs
        for i in output.intervals
    ]
    assert spans[0] == (0, 1)
    assert spans[-1][1] == 1001
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


def test_arterials_and_ramps_have_patience_of_their_own() -> None:
    rules = HealthRules(ramp=ClassRules(silent_ms=10_000), arterial=ClassRules(silent_ms=0))
    registry = registry_of(1, 1, 1, road_class=[RoadClass.FREEWAY, RoadClass.RAMP, RoadClass.ARTERIAL])
    core = Aggregator(registry, AggregatorConfig(allowed_lateness_ms=0, health=rules))
    changes: list[SensorChange] = []
    for window in range(5):
        now_ms = T0_MS + window * WINDOW_MS
        core.feed(batch_of([Row(0, now_ms)]), now_ms, now_ms)
        changes += core.advance(now_ms).sensor_changes

    assert [change.sensor for change in changes] == [1]
