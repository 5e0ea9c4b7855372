"""What a window and a state weigh in DynamoDB."""

import json

import pytest

from cloud.functions.processor.items import item_bytes, segment_state, segment_update, window_item, window_key
from cloud.functions.processor.logic import read_record
from roadside.contract.codec import encode_window
from tests.unit.cloud.messages import make_window, wrap


def test_window_item_is_at_most_60_bytes_larger_than_its_message() -> None:
    window = make_window(999_999, gateway="gateway-0000042", revision=9)
    payload = encode_window(window)
    record = read_record(json.dumps(wrap(payload, window.gateway)).encode())

    overhead = item_bytes(window_item(record, retention_days=3650)) - len(payload)

    assert len(window.gateway) == 15
    assert 50 <= overhead <= 60


@pytest.mark.parametrize(
    ("number", "size"), [("0", 2), ("7", 2), ("12", 2), ("123", 3), ("-123", 3), ("1200", 2), ("0.05", 2), ("80.5", 3)]
)
def test_number_weighs_a_byte_and_one_for_two_significant_digits(number: str, size: int) -> None:
    assert item_bytes({"n": {"N": number}}) == 1 + size


def test_texts_weigh_as_utf8_and_bytes_as_they_are() -> None:
    assert item_bytes({"ä": {"S": "ö"}, "b": {"B": b"123"}}) == 4 + 4


def test_windows_sort_by_time_then_epoch() -> None:
    keys = [window_key(1_790_000_000_000, 2), window_key(1_790_000_000_000, 1), window_key(1_780_000_000_000, 3)]

    assert sorted(keys) == [keys[2], keys[1], keys[0]]


@pytest.mark.parametrize("vehicles", [0, 3])
def test_state_survives_its_item(vehicles: int) -> None:
    window = make_window(vehicles=vehicles, level=None if vehicles == 0 else 55)
    state = read_record(json.dumps(wrap(encode_window(window))).encode()).segments[0]
    update = segment_update(state)
    item = update["Key"] | {name[1:]: value for name, value in update["ExpressionAttributeValues"].items()}

    assert segment_state(item) == state
    assert item_bytes(item) <= 1024
    assert ("average_speed_kmh" in item) == (vehicles > 0)


def test_item_that_only_the_catalogue_has_written_holds_no_state() -> None:
    assert segment_state({"segment": {"N": "7"}, "district": {"S": "Harbour"}}) is None
