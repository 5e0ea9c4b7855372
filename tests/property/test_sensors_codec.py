"""Summaries of sensors survive the way to bytes and back, stay small, and hostile ones are refused by name."""

from dataclasses import replace
from random import Random
from typing import Any, Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.contract import messages_pb2 as pb
from roadside.contract.errors import ContractError, DecodeError
from roadside.contract.events import SensorFaultName
from roadside.contract.sensors import (
    FAULTS,
    MAX_SENSORS_PER_MESSAGE,
    SensorRecord,
    SensorSummary,
    decode_sensors,
    encode_sensors,
    in_parts,
)
from roadside.contract.sketch_bins import MAX_SPEED_DKMH, pace_ms_per_km
from roadside.contract.summary import MAX_INTEGER, MAX_UINT32, SCHEMA

MAX_MESSAGE_BYTES: Final = 7000  # what nucleus lite takes
DAY_MS: Final = 86_400_000


@st.composite
def sensors(draw: st.DrawFn) -> SensorRecord:
    vehicles = draw(st.sampled_from([0, 0, 1, 40, 1200]) | st.integers(0, 10**6))
    without_speed = draw(st.integers(0, vehicles))
    moving = vehicles - without_speed
    observed_ms = draw(st.sampled_from([0, 300_000, 299_000, DAY_MS]))
    return SensorRecord(
        number=0,
        readings_accepted=draw(st.sampled_from([0, 299, 300]) | st.integers(0, 10**6)),
        vehicle_count=vehicles,
        vehicles_without_speed=without_speed,
        pace_sum_ms_per_km=draw(st.integers(moving * pace_ms_per_km(MAX_SPEED_DKMH), moving * pace_ms_per_km(0))),
        occupied_ms=draw(st.integers(0, observed_ms)),
        observed_ms=observed_ms,
        fault=draw(st.sampled_from(FAULTS)),
    )


@st.composite
def summaries(draw: st.DrawFn) -> SensorSummary:
    drawn = draw(st.lists(sensors(), max_size=6))
    count = draw(st.sampled_from([len(drawn), 250])) if drawn else 0
    numbers = sorted(draw(st.sets(st.integers(0, MAX_UINT32), min_size=count, max_size=count)))
    part_count = draw(st.integers(1, 1000))
    return SensorSummary(
        gateway=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)),
        epoch_ms=draw(st.integers(0, MAX_INTEGER)),
        sequence=draw(st.integers(0, MAX_INTEGER)),
        interval_start_ms=draw(st.integers(0, MAX_INTEGER)),
        interval_ms=draw(st.sampled_from([1, 10_000, 300_000, DAY_MS])),
        sensors=tuple(replace(drawn[i % len(drawn)], number=number) for i, number in enumerate(numbers)),
        part=draw(st.integers(0, part_count - 1)),
        part_count=part_count,
        reading_interval_ms=draw(st.sampled_from([100, 1000, 60_000])),
    )


@settings(max_examples=100)
@given(summaries())
def test_summary_comes_back_to_the_last_integer(summary: SensorSummary) -> None:
    assert decode_sensors(encode_sensors(summary)) == summary


@settings(max_examples=100)
@given(summaries())
def test_message_cut_or_flipped_is_a_summary_or_a_decode_error(summary: SensorSummary) -> None:
    payload = encode_sensors(summary)
    for damaged in (payload[: len(payload) // 2], bytes([*payload[:-3], payload[-3] ^ 16, *payload[-2:]])):
        try:
            decode_sensors(damaged)
        except DecodeError:
            continue


def busy(count: int, seed: int = 3) -> tuple[SensorRecord, ...]:
    """Sensors that no compression helps with, each as busy as a lane can be for a day."""
    draw = Random(seed)  # noqa: S311
    number = draw.randrange
    records = []
    for index in range(count):
        vehicles = 30_000 + number(20_000)
        without = number(9_000)
        records.append(
            SensorRecord(
                number=3 * index + number(3) + 1_000_000,
                readings_accepted=80_000 + number(6_000),
                vehicle_count=vehicles,
                vehicles_without_speed=without,
                pace_sum_ms_per_km=(vehicles - without) * (30_000 + number(90_000)),
                occupied_ms=number(DAY_MS // 2),
                observed_ms=DAY_MS - number(DAY_MS // 4),
                fault=FAULTS[number(len(FAULTS))],
            )
        )
    return tuple(records)


def test_no_message_is_too_large_for_nucleus_lite_and_many_sensors_take_several() -> None:
    parts = in_parts(busy(600))
    assert [len(part) for part in parts] == [250, 250, 100]

    for part, records in enumerate(parts):
        summary = SensorSummary("g" * 128, MAX_INTEGER, MAX_INTEGER, MAX_INTEGER, DAY_MS, records, part, len(parts))
        assert len(encode_sensors(summary)) < MAX_MESSAGE_BYTES
    assert in_parts(()) == []


def test_ordinary_five_minutes_of_250_sensors_take_about_two_kilobytes() -> None:
    records = tuple(
        SensorRecord(
            1000 + i,
            300,
            40 + i * i % 97,
            0,
            (40 + i * i % 97) * (38_000 + i * 7919 % 9000),
            i * 7907 % 30_000,
            300_000,
        )
        for i in range(MAX_SENSORS_PER_MESSAGE)
    )
    size = len(encode_sensors(SensorSummary("gw-000000000042", 1, 2, 3, 300_000, records)))
    assert 1_500 < size < 2_700


def test_faults_are_told_by_the_names_of_events() -> None:
    assert set(FAULTS) == {None, *get_args(SensorFaultName)}


def message(**columns: Any) -> bytes:
    known = {"sensor_count": 1, "first_sensor_number": 7, "reading_interval_ms": 1000, "vehicle_count": [1]}
    body = pb.SensorColumns(**(known | {"pace_sum": [40_000]} | columns)).SerializeToString()
    return pb.SensorSummary(
        schema=SCHEMA, gateway="g", interval_ms=300_000, part_count=1, columns=body
    ).SerializeToString()


def test_the_columns_that_the_cases_below_change_are_sound() -> None:
    assert decode_sensors(message()).sensors[0].average_speed_kmh == 90.0


@pytest.mark.parametrize(
    ("field", "columns"),
    [
        ("sensor_count", {"sensor_count": MAX_SENSORS_PER_MESSAGE + 1}),
        ("sensor_count", {"sensor_count": MAX_UINT32}),
        ("reading_interval_ms", {"reading_interval_ms": 0}),
        ("vehicle_count", {"vehicle_count": [1, 1]}),
        ("number", {"first_sensor_number": MAX_UINT32, "sensor_number_gap": [1]}),
        ("readings_accepted", {"readings_accepted_residual": [-301]}),
        ("vehicles_without_speed", {"vehicles_without_speed": [2]}),
        ("pace_sum_ms_per_km", {"pace_sum": [1]}),
        ("pace_sum_ms_per_km", {"pace_sum": [1_200_001]}),
        ("pace_sum_ms_per_km", {"pace_sum": []}),
        ("observed_ms", {"observed_residual_ms": [-300_001]}),
        ("occupied_ms", {"occupied_ms": [300_001]}),
        ("fault", {"fault": [len(FAULTS)]}),
    ],
)
def test_values_no_sensor_can_have_are_refused_by_name(field: str, columns: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_sensors(message(**columns))

    assert caught.value.field == field


@pytest.mark.parametrize(
    "changes", [{"gateway": ""}, {"part": 1}, {"part_count": 0}, {"interval_ms": 0}, {"epoch_ms": -1}]
)
def test_summary_that_no_gateway_makes_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ContractError) as caught:
        replace(SensorSummary("g", 1, 1, 1, 1, ()), **changes)

    assert caught.value.field == next(iter(changes))
