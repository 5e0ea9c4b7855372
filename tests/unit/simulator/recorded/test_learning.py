"""Learning from recorded days: what comes out is what a gateway would have learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.profile_file import load_profile
from simulator.recorded.learning import SHIPPED, learn
from simulator.recorded.recording import Recording
from tests.unit.simulator.recordings import SENSOR_HEADER, SENSORS, START_MS, iso, write_csv, write_recording

SLOW_KMH, FAST_KMH = 40, 90


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Forty minutes, slow at the first of two stations."""
    rows = [
        [
            sensor,
            iso(START_MS + 10_000 * step),
            "3",
            "",
            str(SLOW_KMH if edge == "E00" else FAST_KMH),
            str(5 + step % 7),
        ]
        for step in range(240)
        for sensor, edge, *_ in SENSORS
    ]
    return write_recording(tmp_path / "day", rows)


def test_every_pair_learns_its_contrast_by_quarters_after_the_warm_up(day: Path) -> None:
    learned = learn([day, day], 100.0, lambda _: None)
    assert learned.learned_from == ["day", "day"]
    assert set(learned.segments) == {"E00"}  # the last station has no pair, and a street none at all
    segment = learned.segments["E00"]
    quarter = (START_MS // 900_000) % 96
    assert segment.first_quarter == quarter
    assert segment.days == [[FAST_KMH - SLOW_KMH] * 3] * 2


def test_the_shipped_profile_can_be_read_and_is_small() -> None:
    learned = load_profile(SHIPPED)
    assert len(learned.learned_from) >= 8
    assert all(len(segment.days) == len(learned.learned_from) for segment in learned.segments.values())
    assert SHIPPED.stat().st_size < 50_000


def test_stations_of_a_freeway_are_split_over_gateways_in_driving_direction(tmp_path: Path) -> None:
    folder = write_recording(tmp_path, [["E00_0", iso(START_MS), "1", "90", "90", "5"]])
    order = {f"E{number:02d}": 4 - number for number in range(5)}  # numbered against the driving direction
    sensors = [[f"{edge}_0", edge, "0", "freeway", "EB", "104.6", str(place)] for edge, place in order.items()]
    sensors += [row for row in SENSORS if row[1] == "S0"]
    write_csv(folder / "sensors.csv", SENSOR_HEADER, sensors)
    plans = {plan.gateway_id: [s.id for s in plan.segments] for plan in Recording(folder, 100.0, 2).gateways}
    assert plans == {"EB-1": ["E04", "E03"], "EB-2": ["E02", "E01"], "EB-3": ["E00"], "streets": ["S0"]}
    (whole,) = [plan for plan in Recording(folder, 100.0).gateways if plan.gateway_id == "EB"]
    assert len(whole.segments) == 5
