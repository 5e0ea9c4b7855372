"""Places in a shard, expiry, and the report of a discarded batch."""

from __future__ import annotations

import threading
import time
from typing import Any

from simulator.local_cloud.shims.kinesis_expiry import expire_records
from simulator.local_cloud.shims.on_failure import failure_report
from simulator.local_cloud.shims.stream_batches import Batch, Record
from simulator.local_cloud.shims.stream_places import Arrivals, Place, Progress, first_progress, regrouped


def stored(*numbers: int, arrived_s: float = 0.0) -> list[dict[str, Any]]:
    return [{"SequenceNumber": str(number), "ApproximateArrivalTimestamp": arrived_s} for number in numbers]


def stream(**shards: list[dict[str, Any]]) -> dict[str, Any]:
    return {"RetentionPeriodHours": 24, "shards": {name: {"records": records} for name, records in shards.items()}}


def test_place_before_the_first_record_is_the_start() -> None:
    assert Place().next_index(stored(1, 2)) == 0


def test_place_survives_a_trim_in_front_of_it() -> None:
    records = stored(1, 2, 3, 4)
    place = Place("3", hint=3)
    assert place.next_index(records) == 3
    del records[:2]
    assert place.next_index(records) == 1


def test_place_that_was_trimmed_away_is_the_start() -> None:
    assert Place("3", hint=3).next_index(stored(7, 8)) == 0


def test_place_inside_a_batch_is_found_below_its_hint() -> None:
    assert Place("2", hint=4).next_index(stored(1, 2, 3, 4)) == 2


def test_place_goes_by_order_of_arrival_not_by_number() -> None:
    """Two writers can append in another order than they took their numbers; neither record may be skipped."""
    assert Place("6", hint=1).next_index(stored(6, 5)) == 1


def test_latest_starts_after_what_is_there_and_trim_horizon_before() -> None:
    source = stream(a=stored(1, 2), b=[])
    latest = first_progress({"StartingPosition": "LATEST"}, source, 2)
    assert latest.places == {"a": [Place("2", 2), Place("2", 2)], "b": [Place(), Place()]}
    horizon = first_progress({"StartingPosition": "TRIM_HORIZON"}, source, 1)
    assert horizon.places == {"a": [Place()], "b": [Place()]}


def test_regrouped_lanes_start_where_the_slowest_stood() -> None:
    progress = Progress(3, {"a": [Place("3", 3), Place("1", 1), Place("2", 2)], "gone": [Place(), Place(), Place()]})
    result = regrouped(progress, stream(a=stored(1, 2, 3)), 2)
    assert result == Progress(2, {"a": [Place("1", 1), Place("1", 1)]})


def test_only_records_past_the_retention_expire() -> None:
    now_s = time.time()
    old, fresh = stored(1, 2, arrived_s=now_s - 25 * 3600), stored(3, 4, arrived_s=now_s - 23 * 3600)
    source = stream(a=old + fresh, b=list(fresh), c=[])
    expire_records(source)
    assert [record["SequenceNumber"] for record in source["shards"]["a"]["records"]] == ["3", "4"]
    assert source["shards"]["b"]["records"] == fresh
    assert source["shards"]["c"]["records"] == []


def test_arrival_between_look_and_wait_is_not_missed() -> None:
    arrivals = Arrivals()
    seen = arrivals.count
    arrivals.set()
    begun_s = time.monotonic()
    arrivals.wait_beyond(seen, 5.0)
    assert time.monotonic() - begun_s < 1.0


def test_arrival_wakes_a_waiter() -> None:
    arrivals = Arrivals()
    waiter = threading.Thread(target=arrivals.wait_beyond, args=(arrivals.count, 5.0))
    waiter.start()
    arrivals.set()
    waiter.join(2.0)
    assert not waiter.is_alive()


def test_report_has_the_fields_that_aws_documents() -> None:
    mapping = {"FunctionArn": "arn:aws:lambda:us-east-1:0:function:f", "EventSourceArn": "arn:aws:kinesis:stream/s"}
    given_up = Batch((Record("7", 0.0, {}), Record("9", 1.5, {})), failures=3)
    report = failure_report(mapping, "shardId-000000000001", given_up, "RetryAttemptsExhausted")
    assert report["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert report["requestContext"]["approximateInvokeCount"] == 3
    assert report["requestContext"]["functionArn"] == mapping["FunctionArn"]
    assert report["KinesisBatchInfo"] == {
        "shardId": "shardId-000000000001",
        "startSequenceNumber": "7",
        "endSequenceNumber": "9",
        "approximateArrivalOfFirstRecord": "1970-01-01T00:00:00.000Z",
        "approximateArrivalOfLastRecord": "1970-01-01T00:00:01.500Z",
        "batchSize": 2,
        "streamArn": "arn:aws:kinesis:stream/s",
    }
