"""Local messages, good and hostile: what can be read is taken, the rest is counted, nothing raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.intake import Intake
from roadside.contract import messages_pb2 as pb
from roadside.core.readings import Fault, ReadingBatch
from tests.unit.aggregator.rig import FRAMES, READINGS, START_MS, Reading, frame, settings

REGISTRY = settings().registry()
assert REGISTRY is not None
GOOD = b'{"sensor_id":"s10","timestamp":%d,"vehicle_count":3,"average_speed_kmh":80.5,"occupancy":0.25}' % START_MS
UNREADABLE = {"reading: no JSON", "reading: wrong fields"}


def take(payload: bytes, topic: str = READINGS) -> tuple[ReadingBatch | None, dict[str, int]]:
    intake = Intake()
    assert REGISTRY is not None
    batch = intake.decode(topic, payload, REGISTRY)
    assert batch is None or len(batch) > 0 or topic == FRAMES
    return batch, dict(intake.refused)


def rows(batch: ReadingBatch | None) -> list[tuple[int, ...]]:
    assert batch is not None
    columns = (batch.sensor, batch.timestamp_ms, batch.vehicle_count, batch.speed_dkmh, batch.occupancy_permille)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("payload", [GOOD, b"[" + GOOD + b"]", b" \r\n\t[ " + GOOD + b" ] \n"])
def test_an_object_and_an_array_are_read(payload: bytes) -> None:
    batch, refused = take(payload)
    assert rows(batch) == [(0, START_MS, 3, 805, 250)]
    assert refused == {}


def test_integers_that_the_classic_nucleus_made_floats_of_are_read() -> None:
    batch, refused = take(b'{"sensor_id":"s10","timestamp":%d.0,"vehicle_count":3.0}' % START_MS)
    assert rows(batch) == [(0, START_MS, 3, -1, -1)]
    assert refused == {}


def test_null_is_not_measured_and_unknown_fields_are_passed_over() -> None:
    payload = (
        b'{"sensor_id":"s20","timestamp":5,"vehicle_count":1,"average_speed_kmh":null,"occupancy":null,"x":{"y":[1]}}'
    )
    assert rows(take(payload)[0]) == [(2, 5, 1, -1, -1)]


def test_a_frame_says_the_same_as_json() -> None:
    readings = [Reading(sensor, START_MS + 500 * sensor) for sensor in (10, 21, 99)]
    listed = [
        {
            "sensor_id": f"s{reading.sensor}",
            "timestamp": reading.at_ms,
            "vehicle_count": reading.vehicles,
            "average_speed_kmh": reading.speed_dkmh / 10,
            "occupancy": reading.occupancy_permille / 1000,
        }
        for reading in readings
    ]
    of_frame, of_json = take(frame(readings), FRAMES)[0], take(json.dumps(listed).encode())[0]
    assert rows(of_frame) == rows(of_json)
    assert of_frame is not None
    assert of_frame.fault.tolist() == [0, 0, Fault.UNKNOWN_SENSOR]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (b"1", "wrong fields"),
        (b"null", "wrong fields"),
        (b"[]", "wrong fields"),
        (b"{}", "wrong fields"),
        (b'{"sensor_id":7,"timestamp":1,"vehicle_count":1}', "wrong fields"),
        (b'{"sensor_id":"s10","timestamp":"1","vehicle_count":1}', "wrong fields"),
        (b'{"sensor_id":"s10","timestamp":true,"vehicle_count":1}', "wrong fields"),
        (b'{"sensor_id":"s10","timestamp":1e999,"vehicle_count":1}', "wrong fields"),
        (b'{"sensor_id":"s10","timestamp":1%s,"vehicle_count":1}' % (b"0" * 400), "wrong fields"),
        (b'{"sensor_id":"\xff\xfe","timestamp":1,"vehicle_count":1}', "no JSON"),
    ],
)
def test_a_bad_member_is_counted_and_the_good_ones_beside_it_are_taken(member: bytes, reason: str) -> None:
    assert take(member)[0] is None
    batch, refused = take(b"[" + b",".join([GOOD, member, GOOD, member]) + b"]")
    assert rows(batch) == [(0, START_MS, 3, 805, 250)] * 2
    assert refused == {f"reading: {reason}": 2}


@pytest.mark.parametrize("value", [b"18446744073709551616", b"1e308", b"-1e308", b"-1"])
@pytest.mark.parametrize("field", ["timestamp", "vehicle_count"])
def test_a_number_beyond_reason_is_a_fault_of_its_reading_alone(value: bytes, field: str) -> None:
    values = {"timestamp": b"5", "vehicle_count": b"1", field: value}
    bad = b'{"sensor_id":"s10","timestamp":%s,"vehicle_count":%s}' % (values["timestamp"], values["vehicle_count"])
    batch, refused = take(b"[" + GOOD + b"," + bad + b"]")
    assert batch is not None
    expected = Fault.BAD_TIMESTAMP if field == "timestamp" else Fault.BAD_VEHICLE_COUNT
    assert batch.fault.tolist() == [0, expected]
    assert refused == {}


@pytest.mark.parametrize(
    "payload",
    [
        *(
            b"",
            b" ",
            b"\x00",
            b"\xff\xfe",
            b"NaN",
            b"[NaN]",
            b"Infinity",
            b"[1,",
            b"[",
            b"]",
            b"{",
            b"\xef\xbb\xbf" + GOOD,
        ),
        GOOD + GOOD,
        b"[" + GOOD + b"," + GOOD.replace(b"s10", b"\\ud800") + b"]",
        GOOD.replace(b"80.5", b"NaN"),
        b"[" + GOOD + b"," + GOOD.replace(b"80.5", b"NaN") + b"]",
        b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        b'[{"sensor_id":1},{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ],
)
def test_what_is_no_json_is_counted_once(payload: bytes) -> None:
    batch, refused = take(payload)
    assert batch is None
    assert refused == {"reading: no JSON": 1}


@pytest.mark.parametrize("payload", [GOOD, b"[" + GOOD + b"," + GOOD + b"]"])
def test_json_cut_at_every_byte_is_counted(payload: bytes) -> None:
    for length in range(len(payload)):
        batch, refused = take(payload[:length])
        assert batch is None
        assert refused == {"reading: no JSON": 1}


def test_a_frame_cut_at_every_byte_is_counted_or_read() -> None:
    whole = frame([Reading(10, START_MS), Reading(20, START_MS + 1000)])
    reasons = set[str]()
    for length in range(len(whole)):
        batch, refused = take(whole[:length], FRAMES)
        assert batch is None or len(batch) == 0  # cut before the columns it is a frame of nothing
        assert (batch is None) == bool(refused)
        reasons |= refused.keys()
    assert reasons <= FRAME_FIELDS


FRAME_FIELDS = {"frame: " + field.name for field in pb.ReadingFrame.DESCRIPTOR.fields} | {"frame: frame"}


@pytest.mark.parametrize("base_ms", [0, 2**53, 2**62, 2**63 - 1, 2**64 - 1])
def test_no_time_of_a_frame_is_too_large_to_be_counted(base_ms: int) -> None:
    message = pb.ReadingFrame.FromString(frame([Reading(10, 5)]))
    message.base_ms = base_ms
    batch, refused = take(message.SerializeToString(), FRAMES)
    assert (batch is None) == bool(refused)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 2}, "frame: schema"),
        ({"schema": 0}, "frame: schema"),
        ({"offset_ms": b"1234"}, "frame: offset_ms"),
        ({"vehicle_count": b""}, "frame: vehicle_count"),
        ({"speed_dkmh": b"123"}, "frame: speed_dkmh"),
        ({"occupancy_permille": bytes(4000)}, "frame: occupancy_permille"),
    ],
)
def test_a_frame_at_fault_is_counted_by_the_field(change: dict[str, Any], reason: str) -> None:
    message = pb.ReadingFrame.FromString(frame([Reading(10, START_MS), Reading(20, START_MS)]))
    for field, value in change.items():
        setattr(message, field, value)
    assert take(message.SerializeToString(), FRAMES) == (None, {reason: 1})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["sensor_id", "timestamp", "vehicle_count", "average_speed_kmh", "occupancy"]), inner
        )
    ),
    max_leaves=12,
)


@given(payload=st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_payload_raises_and_the_reasons_stay_few(payload: bytes) -> None:
    intake = Intake()
    assert REGISTRY is not None
    for topic in (READINGS, FRAMES, "roadside/v1/readings/s10", "else/where"):
        intake.decode(topic, payload, REGISTRY)
    assert intake.refused.keys() <= UNREADABLE | FRAME_FIELDS
