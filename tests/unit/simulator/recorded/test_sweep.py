"""The cloud's passes over a replay: at most a minute late, and never early."""

from __future__ import annotations

from roadside.contract.events import IncidentEvent
from roadside.contract.summary import SegmentSummary, SpeedSketch, WindowSummary
from roadside.runtime.segments import SegmentSettings
from simulator.recorded.recording import RecordedGateway, iso
from simulator.recorded.sweep import PASS_MS, ReplaySweep

START_MS = 1_790_000_640_000
STATIONS = 4
GATEWAYS = {"west": (0, 1), "east": (2, 3)}


def sweep() -> ReplaySweep:
    def segment(number: int) -> SegmentSettings:
        return SegmentSettings(
            id=f"E{number}", number=number, road_class="freeway", free_flow_kmh=100.0, lanes=3,
            first_sensor_number=3 * number, sensors=[f"{number}_{lane}" for lane in range(3)],
            downstream=number + 1 if number + 1 < STATIONS else None,
        )  # fmt: skip

    plans = [RecordedGateway(name, tuple(map(segment, numbers))) for name, numbers in GATEWAYS.items()]
    return ReplaySweep(plans, None)


def drive(made: ReplaySweep, from_s: int, until_s: int, queue: frozenset[int] = frozenset()) -> None:
    """Traffic in which the stations named queue; windows come 12 s after their end."""
    for start_s in range(from_s, until_s, 10):
        start_ms = START_MS + 1000 * start_s
        made.pass_if_due(start_ms + 12_000)
        for gateway, numbers in GATEWAYS.items():
            segments = tuple(_segment(number, number in queue) for number in numbers)
            made.take_window(WindowSummary(gateway, 1, 1, start_ms, 10_000, segments))


def _segment(number: int, queues: bool) -> SegmentSummary:
    return SegmentSummary(
        number,
        sketch=SpeedSketch(300, (12,)),
        pace_sum_ms_per_km=12 * (240_000 if queues else 38_000),
        occupied_ms=12_000 if queues else 1_500,
        observed_ms=30_000,
        readings_accepted=30,
    )


def test_an_incident_on_the_border_is_told_by_a_pass_confirmed_by_a_later_one_and_ends() -> None:
    made = sweep()
    drive(made, 0, 900)
    assert made.told == {}
    drive(made, 900, 1500, queue=frozenset({1}))
    drive(made, 1500, 2100)
    made.finish(START_MS + 2_100_000)

    (alert,) = made.alerts()
    (told_ms, suspicion) = made.told[alert.event_id]
    assert (alert.kind, alert.segment_id, alert.started_ms) == ("incident", "E1", suspicion.started_ms)
    assert START_MS + 900_000 < suspicion.started_ms < START_MS + 1_020_000
    assert told_ms % PASS_MS == 0
    assert suspicion.started_ms < told_ms <= suspicion.started_ms + PASS_MS + 12_000
    assert alert.detected_ms == told_ms
    assert alert.ended_ms is not None
    assert START_MS + 1_500_000 < alert.ended_ms < START_MS + 2_000_000
    ((_, where, began, confirmed_at),) = made.confirmation_rows()
    assert (where, began) == ("E1", iso(alert.started_ms))
    assert iso(told_ms) < confirmed_at <= iso(told_ms + 2 * PASS_MS)


def test_a_gateways_incident_beside_the_border_is_not_told_twice_and_is_confirmed() -> None:
    made = sweep()
    drive(made, 0, 900)
    at_ms = START_MS + 960_000
    made.take_event(IncidentEvent("IncidentDetected", "west", 1, 7, "E0", 0, 1, at_ms, at_ms, 20.0, 90.0, 0.4, 1.3))
    drive(made, 900, 1500, queue=frozenset({1}))

    assert list(made.alerts()) == []
    assert [row[1] for row in made.confirmation_rows()] == ["E0"]
