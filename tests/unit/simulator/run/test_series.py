"""What a run records for its pictures: bounded, condensed without loss of the whole, and right about what is due."""

import pytest

from simulator.run.latencies import OPEN_ENDS, LatencyByEnd
from simulator.run.options import RunOptions
from simulator.run.series import Sample, Series, windows_due

START_MS = 1_700_000_004_000
OPTIONS = RunOptions(duration_s=30, window_s=10, lateness_ms=2000)


def sample(second: int) -> Sample:
    return Sample(float(second), 100 * second, second, 10 * second, second, second, 0, 0.5 * second, 1)


def test_a_long_run_keeps_every_second_sample_again_and_again_and_always_what_counts() -> None:
    series = Series(max_rows=10)
    for second in range(1, 101):
        series.note(sample(second))

    assert len(series.samples) <= 10
    steps = {int(b.at_s - a.at_s) for a, b in zip(series.samples, series.samples[1:], strict=False)}
    assert steps == {16}
    assert all(each == sample(int(each.at_s)) for each in series.samples)
    assert series.columns()["readings"] == [100 * each.at_s for each in series.samples]


@pytest.mark.parametrize(
    ("at_s", "due"),
    [
        (7.9, 0),  # the first window ends 6 s after the start, and closes 2 s later
        (8.0, 1),
        (18.0, 2),
        (30.0, 3),
        (38.0, 3),  # the last readings' window ends at 36 s, and silence closes it 7 s later
        (43.0, 4),
        (900.0, 4),
    ],
)
def test_windows_are_due_when_readings_have_passed_them_and_the_last_when_silence_has(at_s: float, due: int) -> None:
    assert windows_due(OPTIONS, START_MS, at_s) == due


def test_latencies_are_told_by_the_end_of_the_window_however_many_there_are() -> None:
    latencies = LatencyByEnd()
    for end_s in range(3 * OPEN_ENDS):
        for n in range(101):
            latencies.add(float(end_s), end_s + n / 100)
    summary = latencies.summary()

    assert [each.end_s for each in summary] == [float(end_s) for end_s in range(3 * OPEN_ENDS)]
    assert {each.count for each in summary} == {101}
    assert (summary[7].p50, summary[7].p95, summary[7].max) == (7.5, 7.95, 8.0)


def test_a_latency_that_comes_after_its_end_was_summarised_is_not_lost() -> None:
    latencies = LatencyByEnd()
    for end_s in range(OPEN_ENDS + 1):
        latencies.add(float(end_s), 1.0)
    latencies.add(0.0, 70.0)

    assert [(each.end_s, each.count, each.max) for each in latencies.summary()[:2]] == [(0.0, 1, 1.0), (0.0, 1, 70.0)]
