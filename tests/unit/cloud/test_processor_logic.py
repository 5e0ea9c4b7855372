"""Which records are windows, and which states are news."""

import contextlib
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.functions.processor.logic import LEVEL_STEP, MAX_FUTURE_MS, SegmentState, is_news, read_record
from cloud.functions.shared.envelope import MessageId, PoisonError
from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import encode_window
from roadside.contract.summary import CongestionState
from tests.unit.cloud.messages import EPOCH_MS, START_MS, make_window, wrap

REFRESH_MS = 300_000
PAYLOAD = encode_window(make_window(7))


def record_bytes(message: bytes = PAYLOAD, **changes: object) -> bytes:
    return json.dumps(wrap(message) | changes).encode()


def poison_of(data: bytes) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        read_record(data)
    return caught.value


def test_window_is_read_with_its_states() -> None:
    record = read_record(record_bytes())

    assert record.window == make_window(7)
    assert record.message_id == MessageId("gw-0001", EPOCH_MS, 7)
    assert record.segments[1] == SegmentState(
        segment=101,
        gateway="gw-0001",
        window_start_ms=START_MS + 70_000,
        epoch=EPOCH_MS,
        revision=0,
        vehicle_count=3,
        average_speed_kmh=80.0,
        occupancy=0.05,
        congestion_level=10,
        congestion_state="free",
        updated_ms=START_MS + 60_000,
    )


def test_no_vehicle_means_no_speed() -> None:
    record = read_record(record_bytes(encode_window(make_window(vehicles=0))))

    assert record.segments[0].average_speed_kmh is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "gateway"),
        (record_bytes(gateway="roadside/v1"), "gateway"),
        (record_bytes(received_ms="now"), "received_ms"),
        (record_bytes(received_ms=True), "received_ms"),
        (record_bytes(payload=7), "payload"),
        (record_bytes(payload="*"), "base64"),
        (record_bytes(b"\x08"), "window"),
        (record_bytes(b""), "schema"),
    ],
)
def test_what_is_no_message_is_poison_that_nobody_can_be_told_of(data: bytes, reason: str) -> None:
    poison = poison_of(data)

    assert reason in poison.reason
    assert poison.message_id is None


def test_forged_gateway_is_refused_to_the_one_who_sent_it() -> None:
    poison = poison_of(record_bytes(gateway="gw-0002"))

    assert "gw-0001" in poison.reason
    assert poison.message_id == MessageId("gw-0002", EPOCH_MS, 7)


def test_schema_of_the_future_is_refused_by_its_sequence() -> None:
    message = pb.WindowSummary.FromString(PAYLOAD)
    message.schema = 99

    poison = poison_of(record_bytes(message.SerializeToString()))

    assert "99" in poison.reason
    assert poison.message_id == MessageId("gw-0001", EPOCH_MS, 7)


def test_sums_that_no_traffic_can_have_are_poison() -> None:
    honest = make_window(7, segments=1)
    paceless = dataclasses.replace(honest, segments=(dataclasses.replace(honest.segments[0], pace_sum_ms_per_km=0),))

    poison = poison_of(record_bytes(encode_window(paceless)))

    assert "pace_sum_ms_per_km" in poison.reason
    assert poison.message_id == MessageId("gw-0001", EPOCH_MS, 7)


def test_reason_is_bounded() -> None:
    assert len(poison_of(record_bytes(gateway="g" * 128)).reason) <= 240
    assert len(PoisonError("x" * 1000).reason) == 240


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_a_gateway_sends_is_a_window_or_poison(data: st.DataObject) -> None:
    payload = bytearray(PAYLOAD)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(payload) - 1))
        payload[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    with contextlib.suppress(PoisonError):
        read_record(record_bytes(bytes(payload[:cut]) if data.draw(st.booleans()) else bytes(payload)))


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("payload", "gateway", "received_ms"), st.none() | st.integers() | st.text() | st.lists(st.text())
        ),
    )
)
def test_whatever_a_record_holds_is_poison_at_worst(document: object) -> None:
    assert poison_of(json.dumps(document).encode()).reason


def test_window_far_ahead_of_its_reception_is_from_the_future() -> None:
    window = make_window(7)
    on_the_edge = read_record(record_bytes(received_ms=window.window_start_ms - MAX_FUTURE_MS))
    beyond = read_record(record_bytes(received_ms=window.window_start_ms - MAX_FUTURE_MS - 1))

    assert not on_the_edge.from_future
    assert beyond.from_future


STATE = read_record(record_bytes()).segments[0]


def later(state: SegmentState = STATE, by_ms: int = 0, **changes: object) -> SegmentState:
    return dataclasses.replace(state, window_start_ms=state.window_start_ms + by_ms, **changes)  # type: ignore[arg-type]


# A window that is in the same refresh period as STATE.
PHASE_LEFT_MS = REFRESH_MS - (STATE.window_start_ms + STATE.segment * 7_919_000) % REFRESH_MS


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (later(), False),
        (later(vehicle_count=99), False),
        (later(by_ms=-10_000, congestion_state="congested", revision=5), False),
        (later(epoch=EPOCH_MS - 1, revision=5), False),
        (later(revision=1, vehicle_count=4), True),
        (later(epoch=EPOCH_MS + 1), True),
        (later(by_ms=1, vehicle_count=50, average_speed_kmh=40.0), False),
        (later(by_ms=1, congestion_state="congested"), True),
        (later(by_ms=1, congestion_level=10 + LEVEL_STEP - 1), False),
        (later(by_ms=1, congestion_level=10 + LEVEL_STEP), True),
        (later(by_ms=1, congestion_level=None), False),
        (later(by_ms=1, gateway="gw-0002"), True),
        (later(by_ms=PHASE_LEFT_MS - 1), False),
        (later(by_ms=PHASE_LEFT_MS), True),
    ],
    ids=[
        "a replay", "a replay with other values", "an older window", "an older epoch", "a correction", "a newer epoch",
        "steady traffic", "another state", "a small step", "a big step", "an empty road", "another gateway",
        "before the refresh", "the refresh",
    ],
)  # fmt: skip
def test_state_is_news_when_newer_and_telling(state: SegmentState, expected: bool) -> None:
    assert is_news(STATE, state, REFRESH_MS) is expected


def test_first_state_of_a_segment_is_news() -> None:
    assert is_news(None, STATE, REFRESH_MS)


def test_level_of_an_empty_road_counts_as_zero() -> None:
    jam = later(congestion_level=80)

    assert is_news(jam, later(by_ms=1, congestion_level=None), REFRESH_MS)
    assert CongestionState.FREE.name.lower() == STATE.congestion_state
