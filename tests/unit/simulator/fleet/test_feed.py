"""The feed: every reading exactly once, in its slice, and as many bytes as it says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aggregator.intake import Intake
from aggregator.settings import AggregatorSettings
from roadside.contract import topics
from roadside.core.readings import NONE
from roadside.core.readings import Fault as Refusal
from roadside.core.registry import Registry
from roadside.runtime.settings import load_settings
from simulator.city.layout import City, make_city
from simulator.city.traffic import CityTraffic
from simulator.faults.delivery import NO_SPEED, Delivery, Readings
from simulator.faults.kinds import Kind
from simulator.faults.plan import Fault
from simulator.faults.schedule import SLICES, Struck
from simulator.fleet.feed import READINGS_PER_JSON_MESSAGE, CityFeed, frame, gateway_of_sensor, json_readings
from simulator.verification.oracle import Oracle, SegmentFacts
from tests.unit.simulator.faults.on_the_way import always, shares

START_MS = 1_700_000_003_000
SECONDS = 12
FAULTS = shares(duplicate=0.05, disordered=0.05, late=0.05, invalid=0.02)
Row = tuple[int, ...]


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(230, 4, 1)


def make_feed(city: City, faults: list[Struck] = FAULTS) -> tuple[CityFeed, Oracle]:
    segments = list(city.segments())
    oracle = Oracle(
        [SegmentFacts(s.number, s.road_class == "freeway", s.free_flow_kmh) for s in segments],
        np.repeat([s.number for s in segments], [len(s.sensor_ids) for s in segments]),
        10_000,
        1000,
        2000,
    )
    delivery = Delivery(faults, 1, gateway_of_sensor(city), START_MS, SECONDS, 10, 2)
    return CityFeed(city, CityTraffic(city, 1), delivery, oracle, START_MS), oracle


def rows(readings: Readings) -> list[Row]:
    return list(zip(*(getattr(readings, name).tolist() for name in Readings.__dataclass_fields__), strict=True))


def random_readings(count: int, sensors: int, seed: int = 3) -> Readings:
    rng = np.random.default_rng(seed)
    vehicles = rng.choice([0, 1, 2, 9, 10, 99, 100, 999, 1000], count)
    speed = rng.choice([0, 5, 10, 99, 100, 101, 999, 1000, 1234, 2550], count)
    permille = rng.choice([0, 1, 5, 10, 99, 100, 101, 110, 500, 999, 1000, 1500], count)
    return Readings(
        sensor=rng.integers(0, sensors, count),
        timestamp_ms=START_MS + rng.integers(0, 5000, count),
        vehicle_count=vehicles,
        speed_dkmh=np.where(vehicles == 0, NO_SPEED, speed),
        occupancy_permille=permille,
    )


def drawn_and_delivered(feed: CityFeed) -> list[tuple[int, int, int, Row]]:
    """Every (second, slice, gateway, reading) of a run."""
    told = []
    second = 0
    while second < SECONDS or not feed.exhausted:
        if second < SECONDS:
            feed.draw(second)
        for part, arrivals in enumerate(feed.deliver(second)):
            told += [(second, part, index, row) for index, readings in arrivals for row in rows(readings)]
        second += 1
    return told


def test_every_valid_reading_comes_exactly_once_and_repeats_and_rubbish_are_told_apart(city: City) -> None:
    feed, oracle = make_feed(city)
    told = drawn_and_delivered(feed)
    truth = oracle.windows()
    valid = [row for *_, row in told if row[4] <= 1000]
    assert len(told) - len(valid) == feed.invalid > 0
    assert len(valid) - len(set(valid)) == feed.duplicates > 0
    assert len(set(valid)) == 230 * SECONDS == feed.generated - feed.invalid
    assert sum(segment.readings for segments in truth.values() for segment in segments.values()) == 230 * SECONDS
    assert max(second for second, *_ in told) <= SECONDS + 2


def test_slices_partition_the_second(city: City) -> None:
    feed, _ = make_feed(city)
    told = drawn_and_delivered(feed)
    assert {part for _, part, _, _ in told} == set(range(SLICES))
    for second, part, _, row in told:
        measured_ms = row[1] - START_MS - 1000 * second
        assert part == max(0, measured_ms // 250)  # what is older comes first


def test_every_gateway_gets_its_own_sensors(city: City) -> None:
    for *_, index, row in drawn_and_delivered(make_feed(city)[0]):
        plan = city.gateways[index]
        assert plan.first_sensor_number <= row[0] < plan.first_sensor_number + plan.sensor_count


def test_oracle_is_told_when_each_reading_came(city: City) -> None:
    """Alerts hang on it: what the oracle believes to be on time must have been."""
    feed, _ = make_feed(city)
    noted: dict[Row, int] = {}

    class Listener:
        def note(self, *columns: np.ndarray) -> None:
            for *row, delivered_ms in zip(*(column.tolist() for column in columns), strict=True):
                noted[tuple(row)] = delivered_ms

    feed._witness = Listener()  # type: ignore[assignment]
    first: dict[Row, int] = {}
    for second, _, _, row in drawn_and_delivered(feed):
        first.setdefault(row, second)
    assert len(noted) == 230 * SECONDS
    for row, delivered_ms in noted.items():
        assert delivered_ms == START_MS + 1000 * (first[row] + 1)


def test_raw_bytes_are_the_lengths_of_the_json_and_its_topic(city: City) -> None:
    feed, _ = make_feed(city)
    ids = [sensor for gateway in city.gateways for segment in gateway.segments for sensor in segment.sensor_ids]
    readings = random_readings(5000, 230)
    for row, length in zip(rows(readings), feed._raw_bytes(readings).tolist(), strict=True):
        sensor, timestamp_ms, count, speed, permille = row
        message = {
            "sensor_id": ids[sensor],
            "timestamp": timestamp_ms,
            "vehicle_count": count,
            "average_speed_kmh": None if speed == NO_SPEED else speed / 10,
            "occupancy": permille / 1000,
        }
        topic = topics.direct_reading(ids[sensor])
        assert length == len(json.dumps(message, separators=(",", ":"))) + len(topic), message


def test_raw_counts_are_one_message_a_reading(city: City) -> None:
    feed, _ = make_feed(city)
    told = drawn_and_delivered(feed)
    assert feed.raw_messages == feed.generated == len(told) - feed.duplicates
    sample = feed._raw_bytes(random_readings(10, 230))
    assert feed.raw_bytes / feed.raw_messages == pytest.approx(float(sample.mean()), rel=0.1)


def test_frames_and_json_say_the_same_to_the_gateway(city: City) -> None:
    plan = city.gateways[1]
    settings = load_settings(AggregatorSettings, {"segments": plan.registry_configuration()})
    registry = settings.registry()
    assert isinstance(registry, Registry)
    readings = random_readings(200, plan.sensor_count)
    readings = Readings(
        readings.sensor + plan.first_sensor_number,
        *(getattr(readings, name) for name in ("timestamp_ms", "vehicle_count", "speed_dkmh", "occupancy_permille")),
    )
    ids = {s.first_sensor_number + i: name for s in plan.segments for i, name in enumerate(s.sensor_ids)}
    intake = Intake()
    as_frame = intake.decode(topics.frames("x"), frame(readings, "x"), registry)
    assert as_frame is not None
    messages = list(json_readings(readings, ids))
    assert len(messages) == -(-200 // READINGS_PER_JSON_MESSAGE)
    assert max(map(len, messages)) <= 7299  # what nucleus lite takes
    batches = [intake.decode(topics.readings("x"), message, registry) for message in messages]
    for name in ("sensor", "timestamp_ms", "vehicle_count", "speed_dkmh", "occupancy_permille", "fault"):
        from_json = np.concatenate([getattr(batch, name) for batch in batches if batch is not None])
        assert from_json.tolist() == getattr(as_frame, name).tolist(), name
    assert not intake.refused

    first = registry.segments[0].first_sensor_number
    assert (as_frame.sensor + first).tolist() == readings.sensor.tolist()
    assert as_frame.timestamp_ms.tolist() == readings.timestamp_ms.tolist()
    assert as_frame.vehicle_count.tolist() == readings.vehicle_count.tolist()
    assert as_frame.occupancy_permille.tolist() == readings.occupancy_permille.tolist()
    assert np.where(as_frame.speed_dkmh == NONE, NO_SPEED, as_frame.speed_dkmh).tolist() == readings.speed_dkmh.tolist()
    impossible = readings.occupancy_permille > 1000
    assert (as_frame.fault[impossible] == Refusal.BAD_OCCUPANCY).all()
    assert (as_frame.fault[~impossible] == Refusal.NO_FAULT).all()


def test_feed_that_is_cut_short_brings_the_rest_within_two_seconds_and_the_oracle_knows(city: City) -> None:
    """The oracle that was told of the plan and of the cut agrees with one that was told when each reading came."""
    feed, oracle = make_feed(city)
    came, seen = make_feed(city)[1], list[Row]()
    cut_at = SECONDS - 1
    second = 0
    while second < cut_at or not feed.exhausted:
        if second < cut_at:
            feed.draw(second)
        elif second == cut_at:
            feed.cut()
        for arrivals in feed.deliver(second):
            for _, readings in arrivals:
                mine = [row for row in rows(readings) if row[-1] <= 1000 and row not in seen]
                seen += mine
                columns = (np.array(column, dtype=np.int64) for column in zip(*mine, strict=True))
                if mine:
                    came.note(*columns, np.full(len(mine), START_MS + 1000 * (second + 1)))
        second += 1
    oracle.last_delivery_ms = START_MS + 1000 * (cut_at + 2)
    assert feed.seconds == cut_at
    assert second <= cut_at + 2
    assert oracle.windows() == came.windows()
    assert oracle.late() == came.late()
    assert sum(oracle.late().values()) > 0


def test_books_of_the_feed_say_where_every_reading_and_repetition_went(city: City) -> None:
    faults = [*FAULTS, always(Kind.LOSS, share=0.1), Struck(Fault("dark", Kind.POWER_CUT, 4.0, 3.0), (1, 2))]
    feed, oracle = make_feed(city, faults)
    told = drawn_and_delivered(feed)
    assert feed.made.sum() == feed.generated
    assert feed.lost.sum() == sum(counts.sum() for counts in feed.lost_to.values()) > 0
    assert feed.lost_to["dark"][[0, 3]].sum() == 0
    handed = np.bincount([index for *_, index, _ in told], minlength=4)
    assert (handed == feed.made + feed.repeated - feed.lost).all()
    noted = sum(s.readings for segments in oracle.windows().values() for s in segments.values())
    assert len(told) == noted + feed.duplicates + feed.refused["bad_occupancy"].sum()
