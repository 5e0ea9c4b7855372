"""The benchmark itself: the workload is the published one, the engines agree, and a difference would be noticed."""

import math
from collections import defaultdict
from pathlib import Path

import pytest

from tests.performance import race, sizes, workload
from tests.performance.engines import WINDOW_MS, Rows

OURS = [race.ours(variant, variant) for variant in ("json-2500", "frames-250")]


@pytest.fixture(scope="module")
def columns() -> workload.Columns:
    return workload.draw(seconds=25)


@pytest.fixture(scope="module")
def directory(columns: workload.Columns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("workload")
    workload.write(directory, columns)
    return directory


def naive(columns: workload.Columns) -> Rows:
    """What the engines have to find, one reading after the other."""
    readings = {(s, t): (g, n, v, o) for s, g, t, _, n, v, o in zip(*(c.tolist() for c in columns), strict=True)}
    groups = defaultdict[str, list[tuple[int, int, int]]](list)
    for (_, timestamp_ms), (segment, vehicles, speed_kmh, occupancy) in readings.items():
        group = f"{timestamp_ms // WINDOW_MS * WINDOW_MS}/{segment}"
        groups[group].append((vehicles, round(speed_kmh * 10), round(occupancy * 1000)))
    rows: Rows = {}
    for group, told in groups.items():
        speeds = sorted(u for n, u, _ in told for _ in range(n))
        occupancy = sum(o for _, _, o in told)
        sums = [len(told), len(speeds), sum(speeds), sum(u * u for u in speeds)]
        if speeds:
            percentiles = [speeds[math.floor(q * (len(speeds) - 1))] for q in (0.5, 0.85)]
            rows[group] = [*sums, speeds[0], speeds[-1], occupancy, *percentiles]
        else:
            rows[group] = [*sums, None, None, occupancy, None, None]
    return rows


def test_the_workload_is_the_published_one() -> None:
    columns = workload.draw()
    assert len(columns.sensor) == 151_500
    assert workload.published_sha256(columns) == workload.PUBLISHED_SHA256


@pytest.mark.parametrize("entry", [*OURS, *race.peers()], ids=lambda entry: entry.name)
def test_an_engine_finds_what_one_reading_after_the_other_gives(
    entry: race.Entry, columns: workload.Columns, directory: Path
) -> None:
    runner = race.Runner(entry, directory)
    try:
        assert runner.run()["cpu_s"] > 0
        assert race.compare(naive(columns), runner.rows()) is None
    finally:
        runner.close()


@pytest.mark.parametrize(
    ("place", "value"), [(0, 9), (3, 0), (4, None), (5, 501), (7, 506), (7, 505.1), (8, 594.0), (8, None)]
)
def test_a_difference_is_noticed(place: int, value: float | None) -> None:
    expected: list[float | None] = [10, 12, 6000, 3_100_000, 400, 600, 900, 500, 601]
    found = [*expected[:7], 504.9, 595.1]  # as a sketch tells them
    assert race.compare({"a": expected}, {"a": found}) is None
    found[place] = value
    assert race.compare({"a": expected}, {"a": found}) is not None


def test_a_missing_group_is_noticed() -> None:
    row: list[float | None] = [1, 0, 0, 0, None, None, 5, None, None]
    assert race.compare({"a": row, "b": row}, {"a": row}) is not None


def test_messages_of_a_day_are_weighed_as_they_are_stored() -> None:
    told: list[str] = []
    day = sizes.day_of_messages(told.append, windows=5)
    assert day.windows == 4  # the last is not closed yet
    assert 100 < day.largest_message_bytes < day.mean_item_bytes <= day.largest_item_bytes
    assert told
