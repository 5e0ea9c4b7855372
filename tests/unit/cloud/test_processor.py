"""The processor against tables, queue and broker: what is stored, parked, acknowledged and delivered again."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cloud.functions.processor import handler
from cloud.functions.processor.settings import Settings
from cloud.functions.processor.store import Store
from cloud.functions.shared.environment import SettingsError
from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import decode_window, encode_window
from roadside.contract.sensors import decode_sensors, encode_sensors
from roadside.contract.summary import Ack, CongestionState, WindowSummary
from tests.unit.cloud.messages import EPOCH_MS, START_MS, kinesis_record, make_sensors, make_window, wrap
from tests.unit.cloud.world import World

ACKS = "roadside/v1/gw-0001/acks"


@pytest.fixture(autouse=True)
def fresh_process(world: World) -> Iterator[None]:
    handler.processor.cache_clear()
    yield
    handler.processor.cache_clear()


def record_of(window: WindowSummary, number: int = 0) -> dict[str, Any]:
    return kinesis_record(wrap(encode_window(window), window.gateway), number)


def process(*records: dict[str, Any]) -> list[str]:
    """Handle one batch; the numbers of the records to be delivered again."""
    response = handler.handle({"Records": list(records)}, None)
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def throttle(operation: str, when: Callable[[dict[str, Any]], bool]) -> None:
    """Make DynamoDB refuse those requests of the processor that `when` picks by their parameters."""
    client = handler.processor()._tables._client  # type: ignore[attr-defined]

    def refuse(params: dict[str, Any], **_: object) -> None:
        if when(params):
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, operation)

    client.meta.events.register(f"before-parameter-build.dynamodb.{operation}", refuse)


def test_window_is_stored_as_received_and_acknowledged(world: World) -> None:
    window = make_window(7, revision=2)

    assert process(record_of(window)) == []

    (item,) = world.items("windows")
    assert item == {
        "g": {"S": "gw-0001"},
        "w": {"S": f"{window.window_start_ms}#{EPOCH_MS}"},
        "r": {"N": "2"},
        "q": {"N": "7"},
        "b": {"B": encode_window(window)},
        "t": {"N": str((START_MS + 60_000) // 1000 + 90 * 86_400)},
    }
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(7,)))]
    assert {item["segment"]["N"] for item in world.items("segments")} == {"100", "101"}


@pytest.mark.parametrize(
    ("late_ms", "changes", "acknowledged"),
    [
        (3_000, {}, False),
        (3_000, {"revision": 1}, True),
        (3_000, {"backfill": True}, True),
        (31_000, {}, True),
        (-60_000, {}, True),
    ],
    ids=["live", "correction", "backfill", "late on its way", "clock ahead"],
)
def test_where_acks_are_gathered_only_live_windows_wait_for_theirs(
    late_ms: int, changes: dict[str, Any], acknowledged: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATHER_ACKS", "true")
    window = dataclasses.replace(make_window(7), **changes)
    record = kinesis_record(wrap(encode_window(window), received_ms=window.window_end_ms + late_ms))
    process(record)
    assert world.acks() == ([(ACKS, Ack(EPOCH_MS, stored=(7,)))] if acknowledged else [])
    process(record)
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(7,)))], "a repetition asks for it"


@pytest.mark.parametrize(("late_ms", "acknowledged"), [(3_000, False), (31_000, True)])
def test_where_acks_are_gathered_a_summary_of_just_now_waits_for_its_own(
    late_ms: int, acknowledged: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATHER_ACKS", "true")
    summary = make_sensors(7)
    received_ms = summary.interval_start_ms + summary.interval_ms + late_ms
    record = kinesis_record(wrap(encode_sensors(summary), received_ms=received_ms, kind="sensors"))
    process(record)
    assert world.acks() == ([(ACKS, Ack(EPOCH_MS, stored=(7,)))] if acknowledged else [])
    process(record)
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(7,)))], "a repetition asks for it"


def test_replay_changes_nothing_and_is_acknowledged_again(world: World) -> None:
    records = [record_of(make_window(sequence), sequence) for sequence in (1, 2, 3)]
    process(*records)
    before = world.items("windows"), world.items("segments")
    world.acks()

    handler.processor.cache_clear()
    assert process(*records) == []

    assert (world.items("windows"), world.items("segments")) == before
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(1, 2, 3)))]


def test_what_is_sent_again_later_changes_not_even_the_time_to_live(
    world: World, emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    payload = encode_window(make_window(1))
    process(kinesis_record(wrap(payload)))
    before = world.items("windows")

    process(kinesis_record(wrap(payload, received_ms=START_MS + 3_600_000)))

    assert world.items("windows") == before
    counted = emitted_metrics()
    assert (counted["WindowsStored"], counted["MessagesReplayed"]) == (1, 1)


def test_summaries_of_sensors_are_stored_once_and_acknowledged(
    world: World, emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    parts = [make_sensors(7), make_sensors(8, part=1)]
    records = [kinesis_record(wrap(encode_sensors(part), kind="sensors"), part.part) for part in parts]

    process(*records, record_of(make_window(9), 2))
    process(records[0])

    items = sorted(world.items("sensors"), key=lambda item: item["s"]["S"])
    assert [decode_sensors(item["b"]["B"]) for item in items] == parts
    assert [item["s"]["S"] for item in items] == [f"{START_MS}#{EPOCH_MS}#000", f"{START_MS}#{EPOCH_MS}#001"]
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(7, 8, 9))), (ACKS, Ack(EPOCH_MS, stored=(7,)))]
    counted = emitted_metrics()
    assert (counted["SensorSummariesStored"], counted["WindowsStored"], counted["MessagesReplayed"]) == (2, 1, 1)


def test_summary_of_sensors_of_another_gateway_is_parked(world: World) -> None:
    process(kinesis_record(wrap(encode_sensors(make_sensors(7, gateway="gw-0002")), kind="sensors")))
    process(kinesis_record(wrap(encode_window(make_window(8)), kind="sensors")))

    assert world.items("sensors") == []
    assert len(world.parked()) == 2
    assert [sequence for _, ack in world.acks() for sequence, _ in ack.refused] == [7, 8]


def test_order_and_repetition_do_not_matter(world: World) -> None:
    first, second = make_window(1), make_window(2, state=CongestionState.CONGESTED, level=80)
    corrected = make_window(3, start_ms=first.window_start_ms, revision=1, vehicles=5)

    process(record_of(corrected, 1), record_of(second, 2), record_of(first, 3), record_of(corrected, 4))

    stored = [decode_window(item["b"]["B"]) for item in world.items("windows")]
    assert sorted(stored, key=lambda w: w.window_start_ms) == [corrected, second]
    assert {item["congestion_state"]["S"] for item in world.items("segments")} == {"congested"}
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(1, 2, 3)))]


def test_higher_revision_replaces_and_lower_does_not(world: World) -> None:
    for sequence, revision in ((1, 0), (2, 2), (3, 1)):
        process(record_of(make_window(sequence, start_ms=START_MS, revision=revision, vehicles=revision + 1)))

    (item,) = world.items("windows")
    assert item["r"]["N"] == "2"
    assert item["q"]["N"] == "2"
    assert {item["vehicle_count"]["N"] for item in world.items("segments")} == {"3"}
    assert [ack.stored for _, ack in world.acks()] == [(1,), (2,), (3,)]


def test_two_epochs_of_a_window_are_two_items(world: World) -> None:
    process(
        record_of(make_window(5, start_ms=START_MS), 1),
        record_of(make_window(1, start_ms=START_MS, epoch_ms=EPOCH_MS + 60_000), 2),
    )

    assert len(world.items("windows")) == 2
    acks = sorted((ack for _, ack in world.acks()), key=lambda ack: ack.epoch_ms)
    assert acks == [Ack(EPOCH_MS, stored=(5,)), Ack(EPOCH_MS + 60_000, stored=(1,))]


def test_each_gateway_gets_its_own_ack(world: World) -> None:
    process(record_of(make_window(1), 1), record_of(make_window(4, gateway="gw-0002"), 2))

    assert dict(world.acks()) == {
        ACKS: Ack(EPOCH_MS, stored=(1,)),
        "roadside/v1/gw-0002/acks": Ack(EPOCH_MS, stored=(4,)),
    }


def test_throttled_record_is_delivered_again_and_the_others_land(world: World) -> None:
    throttle("PutItem", lambda params: params["Item"].get("q") == {"N": "2"})

    assert process(*(record_of(make_window(sequence), sequence) for sequence in (1, 2, 3))) == ["2"]

    assert {item["q"]["N"] for item in world.items("windows")} == {"1", "3"}
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(1, 3)))]


def test_window_whose_states_failed_is_acknowledged_yet_delivered_again_until_they_are_written(world: World) -> None:
    throttle("UpdateItem", lambda params: params["TableName"] == "segments")
    record = record_of(make_window(1))

    assert process(record) == ["0"]
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(1,)))]
    assert len(world.items("windows")) == 1

    handler.processor.cache_clear()
    assert process(record) == []
    assert len(world.items("segments")) == 2


def test_poison_is_parked_with_its_reason_and_the_others_land(
    world: World, emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    poison = kinesis_record(b"\x00 no JSON", 8)

    assert process(record_of(make_window(1), 7), poison, record_of(make_window(2), 9)) == []

    assert len(world.items("windows")) == 2
    (parked,) = world.parked()
    assert "no JSON" in parked["reason"]
    assert parked["raw"] == poison["kinesis"]["data"]
    assert parked["coordinates"]["sequence_number"] == "8"
    assert parked["coordinates"]["stream"].endswith("stream/windows")
    assert world.acks() == [(ACKS, Ack(EPOCH_MS, stored=(1, 2)))]
    counted = emitted_metrics()
    assert counted["RecordsParked"] == 1
    assert counted["WindowsStored"] == 2


def test_forged_gateway_is_parked_and_refused_to_its_sender(world: World) -> None:
    forged = kinesis_record(wrap(encode_window(make_window(5)), gateway="gw-0666"))

    assert process(forged) == []

    assert world.items("windows") == []
    ((topic, ack),) = world.acks()
    assert topic == "roadside/v1/gw-0666/acks"
    assert ack.stored == ()
    ((sequence, reason),) = ack.refused
    assert sequence == 5
    assert "gw-0001" in reason
    (parked,) = world.parked()
    assert (parked["gateway"], parked["sequence"]) == ("gw-0666", 5)


def test_unknown_schema_is_refused_in_the_ack_that_confirms_the_others(world: World) -> None:
    message = pb.WindowSummary.FromString(encode_window(make_window(2)))
    message.schema = 2

    process(record_of(make_window(1), 1), kinesis_record(wrap(message.SerializeToString()), 2))

    ((_, ack),) = world.acks()
    assert ack.stored == (1,)
    assert [sequence for sequence, _ in ack.refused] == [2]


def test_poison_that_cannot_be_parked_is_delivered_again(world: World) -> None:
    world.sqs.delete_queue(QueueUrl=world.parked_url)

    assert process(kinesis_record(b"rubbish", 4), record_of(make_window(1), 5)) == ["4"]
    assert len(world.items("windows")) == 1


def test_ack_that_cannot_be_published_fails_no_record(
    world: World, emitted_metrics: Callable[[], dict[str, float]]
) -> None:
    client = handler.processor()._acks._client

    def unreachable(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://data-ats.iot")

    client.meta.events.register("before-send.iot-data-plane.Publish", unreachable)

    assert process(record_of(make_window(1))) == []
    assert len(world.items("windows")) == 1
    assert emitted_metrics()["AcksFailed"] == 1


def test_many_states_are_written_together_unless_one_is_older(world: World) -> None:
    store = Store(boto3.client("dynamodb"), Settings.from_environment(_environment(world)))
    newer = make_window(9, segments=1, state=CongestionState.CONGESTED)
    process(record_of(newer))

    handler.processor.cache_clear()
    process(record_of(make_window(3, segments=8)))

    states = store.read_segments(range(100, 108))
    assert len(states) == 8
    assert states[100].congestion_state == "congested"
    assert {states[number].congestion_state for number in range(101, 108)} == {"free"}


@pytest.mark.parametrize("older", [{"window_start_ms": START_MS - 1}, {"revision": 1}, {"epoch": EPOCH_MS - 1}, {}])
def test_store_keeps_the_newer_state_and_tells_it(world: World, older: dict[str, Any]) -> None:
    store = Store(boto3.client("dynamodb"), Settings.from_environment(_environment(world)))
    process(record_of(make_window(9, start_ms=START_MS, revision=2, segments=6)))
    held = store.read_segments(range(100, 106))

    stale = [dataclasses.replace(state, vehicle_count=99, **older) for state in held.values()]

    assert store.put_segments(stale) == held
    assert store.put_segments(stale[:2]) == {state.segment: held[state.segment] for state in stale[:2]}
    assert store.read_segments(range(100, 106)) == held


@pytest.mark.parametrize(("refusals", "found"), [(2, 4), (3, None)])
def test_keys_left_unread_are_read_again_a_few_times(world: World, refusals: int, found: int | None) -> None:
    process(record_of(make_window(1, segments=4)))
    client = boto3.client("dynamodb")
    store = Store(client, Settings.from_environment(_environment(world)))
    asked: list[int] = []

    def leave_the_last_unread(parsed: dict[str, Any], **_: object) -> None:
        asked.append(len(parsed["Responses"]["segments"]))
        if len(asked) <= refusals:
            unread = parsed["Responses"]["segments"].pop()
            parsed["UnprocessedKeys"] = {"segments": {"Keys": [{"segment": unread["segment"]}]}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_the_last_unread)

    if found is None:
        with pytest.raises(ClientError, match="UnprocessedKeys"):
            store.read_segments(range(100, 104))
    else:
        assert len(store.read_segments(range(100, 104))) == found
    assert asked == [4, 1, 1]


def test_catalogue_of_a_segment_survives_its_states(world: World) -> None:
    catalogue = {"segment": {"N": "100"}, "district": {"S": "Harbour"}, "lanes": {"N": "3"}}
    world.dynamodb.put_item(TableName="segments", Item=catalogue)

    process(record_of(make_window(1, state=CongestionState.CONGESTED, level=70)))
    process(record_of(make_window(2, vehicles=0, level=None, state=CongestionState.UNKNOWN)))

    item = next(item for item in world.items("segments") if item["segment"]["N"] == "100")
    assert item.items() >= catalogue.items()
    assert item["congestion_state"] == {"S": "unknown"}
    assert not item.keys() & {"average_speed_kmh", "congestion_level", "band"}


@pytest.mark.parametrize("segments", [1, 8])
def test_segment_is_in_a_band_while_it_is_congested(world: World, segments: int) -> None:
    process(record_of(make_window(1, segments=segments, state=CongestionState.CONGESTED, level=70)))
    assert {item["band"]["S"] for item in world.items("segments")} == {"heavy"}

    process(record_of(make_window(2, segments=segments, state=CongestionState.CONGESTED, level=95)))
    assert {item["band"]["S"] for item in world.items("segments")} == {"severe"}

    process(record_of(make_window(3, segments=segments, level=5)))
    assert all("band" not in item for item in world.items("segments"))


def test_more_segments_than_one_read_takes(world: World) -> None:
    process(record_of(make_window(1, segments=230)))

    assert len(world.items("segments")) == 230


def test_missing_settings_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"WINDOWS_TABLE": "w", "RETENTION_DAYS": "soon", "SEGMENT_REFRESH_S": "1"})

    assert len(caught.value.faults) == 10
    assert "RETENTION_DAYS = 'soon'" in str(caught.value)


def _environment(world: World) -> dict[str, str]:
    return {
        "WINDOWS_TABLE": "windows",
        "SENSORS_TABLE": "sensors",
        "SEGMENTS_TABLE": "segments",
        "HOURS_TABLE": "hours",
        "WINDOW_ROWS_STREAM": "segment_windows",
        "SENSOR_ROWS_STREAM": "sensor_intervals",
        "PARKED_QUEUE_URL": world.parked_url,
        "WINDOWS_DAYS": "90",
        "RETENTION_DAYS": "90",
        "SEGMENT_REFRESH_S": "300",
        "GATHER_ACKS": "false",
    }
