"""The simulator's sensors against SUMO's loops: what they tell of the same kind of road agrees within stated bounds.

SUMO moves every vehicle by itself (car following, lane changes, trucks); our model moves densities and draws counts.
The bounds are those of docs/simulator.md, where it also says in what the two differ. Further recordings of freeways of
three lanes, such as whole SUMO days, are compared by the same bounds when SUMO_RECORDINGS names their folders, apart
by `:`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from simulator.evaluation.corridor import SimulatedDay
from simulator.recorded.recording import Recorded, Recording

SUMO: Final = Path(__file__).parents[2] / "simulator" / "examples" / "sumo-morning"
MORNING: Final = SUMO.parent / "morning"
MORE: Final = [folder for folder in os.environ.get("SUMO_RECORDINGS", "").split(":") if folder]
INTERVAL_S: Final = 10
FIVE_MINUTES: Final = 300 // INTERVAL_S
FREE_KMH: Final = 80.0
SLOWEST_KMH: Final = 1.0  # a vehicle that stands on a loop has a speed of 0
FLOWS_VPH: Final = ((600, 1000), (1000, 1400), (1400, 2000))
LANES: Final = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What loops tell of a freeway.

    Attributes
    ----------
    free_kmh : space mean speed of all vehicles in free traffic
    capacity_vph : the most vehicles of a station in five minutes, per lane and hour
    field_m : occupancy / density
    count_dispersion : variance / mean of ten-second counts within five minutes, for each class of flow
    speed_noise : how much a vehicle's speed differs from its lane's five minutes, as a share, for each class of flow
    lane_shares : of all vehicles, slow lane first
    """

    free_kmh: float
    capacity_vph: float
    field_m: float
    count_dispersion: tuple[float, ...]
    speed_noise: tuple[float, ...]
    lane_shares: tuple[float, ...]


def statistics(recorded: Recorded) -> Statistics:
    counts, speeds, shares = columns(recorded)
    seconds_per_km = np.nan_to_num(counts / speeds)
    free = speeds > FREE_KMH
    blocks = len(counts) // FIVE_MINUTES * FIVE_MINUTES
    count, slowness, share, speed = (
        each[:blocks].reshape(-1, FIVE_MINUTES, counts.shape[1]) for each in (counts, seconds_per_km, shares, speeds)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        flow = count.sum(axis=1) * 3600 / 300
        lane_speed = count.sum(axis=1) / slowness.sum(axis=1)
        steady = lane_speed > FREE_KMH
        dispersion = count.var(axis=1, ddof=1) / count.mean(axis=1)
        deviation = (speed / lane_speed[:, None, :] - 1) * np.sqrt(count)
    squares, measured = np.nansum(deviation**2, axis=1), np.isfinite(deviation).sum(axis=1)
    classes = [steady & (flow > low) & (flow <= high) for low, high in FLOWS_VPH]
    busy = steady & (flow > FLOWS_VPH[0][0])
    return Statistics(
        free_kmh=float(counts[free].sum() / seconds_per_km[free].sum()),
        capacity_vph=float(flow.reshape(len(flow), -1, LANES).mean(axis=2).max()),
        field_m=float((share.mean(axis=1) * lane_speed / flow)[busy].mean() * 1000),
        count_dispersion=tuple(float(dispersion[own].mean()) for own in classes),
        speed_noise=tuple(float(np.sqrt(squares[own].sum() / measured[own].sum())) for own in classes),
        lane_shares=tuple((counts.reshape(-1, LANES).sum(axis=0) / counts.sum()).tolist()),
    )


def columns(recorded: Recorded) -> tuple[Floats, Floats, Floats]:
    """Counts, speeds (NaN without) and occupancies of freeway lanes, [intervals, lanes], stations side by side."""
    freeways = [s for plan in recorded.gateways for s in plan.segments if s.road_class == "freeway"]
    place = {sensor: index for index, sensor in enumerate(sensor for segment in freeways for sensor in segment.sensors)}
    rows = [row for row in recorded.readings() if row.sensor_id in place]
    assert all(isinstance(row.timestamp_ms, int) for row in rows)
    instants = sorted({row.timestamp_ms for row in rows})  # type: ignore[type-var]
    line = {instant: index for index, instant in enumerate(instants)}
    found = tuple(np.full((len(instants), len(place)), np.nan) for _ in range(3))
    for row in rows:
        for column, value in zip(found, row[2:], strict=True):
            if isinstance(value, float):
                column[line[row.timestamp_ms], place[row.sensor_id]] = value
    counts, speeds, shares = found
    return np.nan_to_num(counts), np.maximum(speeds, SLOWEST_KMH), np.nan_to_num(shares)


@pytest.fixture(scope="module")
def ours() -> Statistics:
    return statistics(SimulatedDay(1, 1.75, 20))


def recordings() -> Iterator[pytest.param]:  # type: ignore[valid-type]
    yield pytest.param(SUMO, id="sumo-morning")
    for folder in MORE:
        yield pytest.param(Path(folder), id=Path(folder).name)
    if not MORE:
        skip = pytest.mark.skip(reason="SUMO_RECORDINGS names no folder of whole days")
        yield pytest.param(None, id="whole-days", marks=skip)


@pytest.fixture(scope="module", params=recordings())
def theirs(request: pytest.FixtureRequest) -> Statistics:
    return statistics(Recording(request.param, 100.0))


def test_free_traffic_and_capacity_agree_within_a_tenth(ours: Statistics, theirs: Statistics) -> None:
    assert ours.free_kmh == pytest.approx(theirs.free_kmh, rel=0.10)
    assert ours.capacity_vph == pytest.approx(theirs.capacity_vph, rel=0.10)


def test_occupancy_is_density_times_a_length_that_differs_by_the_loop(ours: Statistics, theirs: Statistics) -> None:
    assert ours.field_m == pytest.approx(6.6, rel=0.01)
    assert theirs.field_m == pytest.approx(5.35, rel=0.03)


def test_counts_scatter_alike_and_less_the_denser_the_traffic(ours: Statistics, theirs: Statistics) -> None:
    for mine, its in zip(ours.count_dispersion, theirs.count_dispersion, strict=True):
        assert mine == pytest.approx(its, abs=0.25)
    for found in (ours, theirs):
        assert found.count_dispersion[-1] < found.count_dispersion[0] < 1.0


def test_speeds_of_vehicles_scatter_by_two_thirds_at_least_of_what_sumos_do(
    ours: Statistics, theirs: Statistics
) -> None:
    for mine, its in zip(ours.speed_noise, theirs.speed_noise, strict=True):
        assert 0.65 < mine / its < 1.15


def test_lanes_share_the_traffic_alike(ours: Statistics, theirs: Statistics) -> None:
    np.testing.assert_allclose(ours.lane_shares, theirs.lane_shares, atol=0.06)


def test_the_example_of_the_readme_is_traffic_of_the_simulator(ours: Statistics) -> None:
    example = statistics(Recording(MORNING, 100.0))

    assert example.free_kmh == pytest.approx(ours.free_kmh, rel=0.02)
    assert example.field_m == pytest.approx(ours.field_m, rel=0.01)
    np.testing.assert_allclose(example.lane_shares, ours.lane_shares, atol=0.02)
