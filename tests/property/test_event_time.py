"""Event time under any clocks: the watermark and the time of the next call."""

from hypothesis import given
from hypothesis import strategies as st

from roadside.core.aggregator import Aggregator
from roadside.core.event_time import EventClock
from tests.property.gateway_streams import Step, feed, make_config, make_registry, rows_at, streams, times
from tests.property.naive_gateway import NaiveTimes
from tests.unit.roadside.core.builders import T0_MS

durations = st.integers(0, 20_000)
HOUR_MS = 3_600_000


@given(
    clock=st.builds(EventClock, durations, durations, durations),
    events=st.lists(st.tuples(st.integers(0, 30_000), st.integers(-100_000, 100_000), st.booleans())),
)
def test_watermark_never_reverses_whatever_is_observed_and_however_often_it_is_asked(
    clock: EventClock, events: list[tuple[int, int, bool]]
) -> None:
    steady_ms, before = 0, None
    for after_ms, newest_ms, asks in events:
        steady_ms += after_ms
        clock.observe(newest_ms, steady_ms)
        if asks:
            watermark_ms = clock.watermark_ms(steady_ms)
            assert watermark_ms is not None
            assert before is None or watermark_ms >= before
            before = watermark_ms


@given(
    clock=st.builds(EventClock, durations, durations, durations),
    latest_ms=st.integers(0, 10**13),
    ahead_ms=st.integers(1, 10**6),
)
def test_the_foretold_instant_is_the_first_at_which_the_watermark_is_there(
    clock: EventClock, latest_ms: int, ahead_ms: int
) -> None:
    clock.observe(latest_ms, 500)
    target_ms = latest_ms - clock.allowed_lateness_ms + ahead_ms
    at_ms = clock.steady_ms_of(target_ms, latest_ms)
    before_ms = clock.watermark_ms(at_ms - 1)
    assert before_ms is not None
    assert before_ms < target_ms
    assert clock.watermark_ms(at_ms) == target_ms


@given(times=times, stream=streams)
def test_advance_finds_nothing_before_the_wake_and_something_at_it(times: NaiveTimes, stream: list[Step]) -> None:
    core = Aggregator(make_registry(), make_config(times))
    now_ms = 0
    for step in stream:
        now_ms += step.after_ms
        feed(core, rows_at(step, now_ms), T0_MS + now_ms + step.wall_off_ms, now_ms)
        core.advance(now_ms)
        wake_ms = core.wake_at_steady_ms()
        if wake_ms is None:
            continue
        assert wake_ms > now_ms
        if core.counters.windows % 2:  # sometimes go on from here, sometimes from the wake
            continue
        assert not core.advance(wake_ms - 1)
        assert core.advance(wake_ms)
        now_ms = wake_ms


@given(
    offset_ms=st.sampled_from([-HOUR_MS, HOUR_MS]),
    steps=st.lists(st.tuples(st.integers(500, 3_000), st.booleans()), min_size=1, max_size=40),
)
def test_a_wall_clock_that_steps_an_hour_changes_nothing_for_healthy_sensors(
    offset_ms: int, steps: list[tuple[int, bool]]
) -> None:
    times = NaiveTimes(3_000, 1_000, 2_000, 30_000, 0, 5_000, 2_000, 360)
    steady_wall, stepping = (Aggregator(make_registry(), make_config(times)) for _ in range(2))
    now_ms = 0
    reading = Step(0, 0, ((0, 0, 1, 600, 50), (2, 250, 1, 600, 50)))
    for core in (steady_wall, stepping):
        feed(core, rows_at(reading, now_ms), T0_MS, now_ms)
    for after_ms, stepped in steps:
        now_ms += after_ms
        wall_ms = T0_MS + now_ms
        outputs = []
        for core, shown_ms in ((steady_wall, wall_ms), (stepping, wall_ms + offset_ms * stepped)):
            feed(core, rows_at(reading, now_ms), shown_ms, now_ms)
            outputs.append([(window.start_ms, window.revision) for window in core.advance(now_ms).windows])
        assert outputs[0] == outputs[1]
    assert stepping.counters.rejected == {}
    assert stepping.counters == steady_wall.counters


@given(lies=st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_no_sensor_that_runs_ahead_pulls_event_time_further_than_the_skew_allows(lies: list[int]) -> None:
    times = NaiveTimes(3_000, 1_000, 2_000, 30_000, 0, 5_000, 2_000, 360)
    core = Aggregator(make_registry(), make_config(times))
    honest = Step(0, 0, ((0, 0, 1, 600, 50),))
    feed(core, rows_at(honest, 0), T0_MS, 0)
    for i, ahead_ms in enumerate(lies, start=1):
        now_ms = 1_000 * i
        liar = Step(0, 0, ((1, -min(ahead_ms, i * 5_000), 1, 600, 50),))
        feed(core, rows_at(liar, now_ms), T0_MS + now_ms, now_ms)
        feed(core, rows_at(honest, now_ms), T0_MS + now_ms, now_ms)
        watermark_ms = core.clock.watermark_ms(now_ms)
        assert watermark_ms is not None
        assert watermark_ms <= T0_MS + now_ms + 5_000 - 2_000
