"""Each fault does to readings what its name says, and nothing else."""

import numpy as np
import pytest

from roadside.traffic.errors import SensorError
from roadside.traffic.sensor_faults import DEFAULT_PARAMETER, DeviceReading, FaultySensor

TRUTH = [DeviceReading(n, 80.0 + n if n else None, 0.02 * n) for n in (0, 2, 5, 0, 1, 3) * 200]


def told(fault: str, parameter: float | None = None, seed: int = 1) -> list[DeviceReading | None]:
    chosen = DEFAULT_PARAMETER[fault] if parameter is None else parameter
    device = FaultySensor(fault, chosen, 10.0, np.random.default_rng(seed))
    return [device.report(truth) for truth in TRUTH]


def vehicles(readings: list[DeviceReading | None]) -> int:
    return sum(reading.vehicle_count for reading in readings if reading is not None)


def test_silent_tells_nothing_dead_tells_zero_and_stuck_on_is_covered() -> None:
    assert set(told("silent")) == {None}
    assert set(told("dead")) == {DeviceReading(0, None, 0.0)}
    assert set(told("stuck_on")) == {DeviceReading(0, None, 1.0)}


def test_constant_repeats_the_first_reading_with_a_vehicle() -> None:
    readings = told("constant")

    assert readings[0] == TRUTH[0]
    assert set(readings[1:]) == {TRUTH[1]}


def test_chatter_counts_as_many_as_it_is_told_to() -> None:
    assert vehicles(told("chatter", 60.0)) == pytest.approx(20 * len(TRUTH), rel=0.02)
    assert all(reading.speed_kmh for reading in told("chatter") if reading is not None and reading.vehicle_count)


def test_occupancy_is_scaled_and_stays_a_share() -> None:
    assert [reading.occupancy for reading in told("occupancy_scale", 2.5) if reading][:3] == [0.0, 0.1, 0.25]
    assert max(reading.occupancy or 0 for reading in told("occupancy_scale", 50.0) if reading) == 1.0
    unmeasured = FaultySensor("occupancy_scale", 2.5, 10.0, np.random.default_rng(1))
    assert unmeasured.report(DeviceReading(1, 50.0, None)) == DeviceReading(1, 50.0, None)


def test_undercount_misses_its_share_with_all_that_belongs_to_it() -> None:
    readings = [reading for reading in told("undercount", 0.5) if reading]

    assert vehicles([*readings]) == pytest.approx(sum(t.vehicle_count for t in TRUTH) / 2, rel=0.05)
    assert all((reading.speed_kmh is None) == (reading.vehicle_count == 0) for reading in readings)
    assert sum(r.occupancy or 0 for r in readings) == pytest.approx(0.02 * vehicles([*readings]))
    assert vehicles(told("undercount", 1.0)) == 0


def test_same_seed_lies_alike() -> None:
    assert told("undercount", seed=3) == told("undercount", seed=3)
    assert told("undercount", seed=3) != told("undercount", seed=4)


@pytest.mark.parametrize(("fault", "parameter"), [("tired", 0.0), ("undercount", 1.1), ("chatter", -1.0)])
def test_unknown_fault_or_senseless_parameter_is_refused(fault: str, parameter: float) -> None:
    with pytest.raises(SensorError):
        FaultySensor(fault, parameter, 10.0, np.random.default_rng(1))
