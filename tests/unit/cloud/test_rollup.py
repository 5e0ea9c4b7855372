"""The rollup in an account: which hours it takes, that it may run as often as it likes, and what it refuses."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from aws_lambda_powertools import Logger

from cloud.functions.processor import handler as processor
from cloud.functions.rollup import logic
from cloud.functions.rollup.logic import RequestError, requested_hours
from cloud.functions.rollup.rollup import Outcome, Rollup
from cloud.functions.rollup.store import Store
from cloud.functions.shared.hours import GRACE_MS, HOUR_MS, MARK_AGAIN_MS, is_due
from roadside.contract.codec import encode_window
from roadside.contract.summary import WindowSummary
from tests.unit.cloud.messages import START_MS, kinesis_record, make_window, wrap
from tests.unit.cloud.world import World

DAY_MS = 1_790_035_200_000  # 2026-09-22T00:00Z, a few hours before START_MS of other tests
NOON_MS = DAY_MS + 12 * HOUR_MS


class Clock:
    """The processor's clock and the rollup's, some hours after the windows."""

    def __init__(self) -> None:
        self.now_ms = DAY_MS + 26 * HOUR_MS

    def __call__(self) -> int:
        return self.now_ms


class Account:
    """Stores windows as the processor does, and rolls them up."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.store = Store(
            boto3.client("dynamodb"), boto3.client("s3"), windows_table="windows", hours_table="hours", bucket="lake"
        )
        self.s3 = boto3.client("s3")
        processor.processor.cache_clear()
        marks = processor.processor()._lake._marks  # type: ignore[attr-defined]
        marks._now_ms = clock

    def store_windows(self, *windows: WindowSummary) -> None:
        """Each gateway's windows in a batch of their own, some time after what went before."""
        self.clock.now_ms += MARK_AGAIN_MS
        records = [kinesis_record(wrap(encode_window(w), w.gateway), number) for number, w in enumerate(windows)]
        assert processor.handle({"Records": records}, None) == {"batchItemFailures": []}

    def roll_up(self, requested: list[int] | None = None, retention_days: int = 90, left_ms: int = 900_000) -> Outcome:
        self.clock.now_ms += 1000
        rollup = Rollup(self.store, retention_days, Logger(service="test"), self.clock)
        outcome = rollup.run(requested, lambda: left_ms)
        self.clock.now_ms += 10 * 60_000  # until the next
        return outcome

    def rows(self, key: str) -> list[dict[str, Any]]:
        body = self.s3.get_object(Bucket="lake", Key=key)["Body"].read()
        return [json.loads(line) for line in gzip.decompress(body).splitlines()]

    def bodies(self) -> dict[str, bytes]:
        """Everything that the rollup has written."""
        listed = [o["Key"] for o in self.s3.list_objects_v2(Bucket="lake").get("Contents", ())]
        keys = [key for key in listed if key.startswith(("hourly/", "daily/"))]
        return {key: self.s3.get_object(Bucket="lake", Key=key)["Body"].read() for key in keys}

    def vehicles(self, key: str) -> int:
        return sum(row["vehicle_count"] for row in self.rows(key))


@pytest.fixture
def account(world: World) -> Iterator[Account]:
    yield Account(world, Clock())
    processor.processor.cache_clear()


def window(sequence: int, start_ms: int, **more: Any) -> WindowSummary:
    return make_window(sequence, start_ms=start_ms, **more)


NOON = "hourly/dt=2026-09-22/12.json.gz"
DAY = "daily/dt=2026-09-22/day.json.gz"


def test_an_hour_and_its_day_are_written_once_and_not_again_while_nothing_comes(account: Account) -> None:
    account.store_windows(
        window(1, NOON_MS), window(2, NOON_MS + HOUR_MS - 10_000), window(1, NOON_MS, gateway="gw-2", first_segment=200)
    )
    outcome = account.roll_up()
    assert (outcome.hours, outcome.days, outcome.windows, outcome.rows) == (1, 1, 3, 4)
    rows = account.rows(NOON)
    assert [(row["segment"], row["vehicle_count"]) for row in rows] == [(100, 6), (101, 6), (200, 3), (201, 3)]
    assert {(row["hour_start_ms"], row["hour_of_day"]) for row in rows} == {(NOON_MS, 12)}
    assert [row["vehicle_count"] for row in account.rows(DAY)] == [6, 6, 3, 3]
    assert account.roll_up().hours == 1  # the last mark may have spoken for a window that was not read yet
    assert account.roll_up().hours == 0


def test_a_correction_or_repaired_backlog_after_the_rollup_changes_it(account: Account) -> None:
    account.store_windows(window(1, NOON_MS), window(2, NOON_MS + 10_000))
    account.roll_up()
    account.store_windows(window(3, NOON_MS, revision=1, vehicles=10))
    account.store_windows(window(9, NOON_MS + 20_000, gateway="gw-2", first_segment=200))
    assert account.roll_up().hours == 1
    assert account.vehicles(NOON) == account.vehicles(DAY) == 2 * (10 + 3) + 2 * 3


def test_a_lower_revision_and_a_repetition_change_nothing(account: Account) -> None:
    corrected = window(2, NOON_MS, revision=1, vehicles=5)
    account.store_windows(corrected)
    account.roll_up()
    before = account.bodies()
    account.store_windows(window(1, NOON_MS, vehicles=4), corrected)
    account.roll_up()
    assert account.bodies() == before


def test_windows_of_two_epochs_add(account: Account) -> None:
    account.store_windows(window(1, NOON_MS), window(1, NOON_MS, epoch_ms=NOON_MS - 5))
    account.roll_up()
    assert account.vehicles(NOON) == 2 * 2 * 3


def test_a_run_by_hand_gives_the_same_bytes_in_the_same_places(account: Account) -> None:
    account.store_windows(*(window(n, DAY_MS + n * HOUR_MS) for n in range(3)))
    account.roll_up()
    before = account.bodies()
    assert account.roll_up(requested_hours({"day": "2026-09-22"})).hours == 24
    after = account.bodies()
    assert {key: after[key] for key in before} == before
    # Hours without windows are there and empty, so nothing of an earlier run can linger.
    assert all(gzip.decompress(after[key]) == b"" for key in after.keys() - before.keys())
    assert len(after) == 25


def test_a_window_stored_while_its_hour_is_rolled_up_is_in_the_next_run(account: Account) -> None:
    account.store_windows(window(1, NOON_MS))
    read = account.store.windows

    def store_another_after_reading(hour_ms: int) -> Iterator[WindowSummary]:
        yield from list(read(hour_ms))
        account.store.windows = read  # type: ignore[method-assign]
        record = kinesis_record(wrap(encode_window(window(2, NOON_MS + 10_000))))
        assert processor.handle({"Records": [record]}, None) == {
            "batchItemFailures": []
        }  # its mark is young: no new one

    account.store.windows = store_another_after_reading  # type: ignore[method-assign]
    assert account.roll_up().windows == 1
    assert account.roll_up().windows == 2
    assert account.vehicles(NOON) == 2 * 2 * 3


def test_two_runs_at_once_leave_what_the_later_one_read(account: Account) -> None:
    account.store_windows(window(1, NOON_MS))
    read = account.store.windows

    def be_overtaken(hour_ms: int) -> Iterator[WindowSummary]:
        old = list(read(hour_ms))
        account.store.windows = read  # type: ignore[method-assign]
        account.store_windows(window(2, NOON_MS + 10_000))
        account.roll_up()
        yield from old

    account.store.windows = be_overtaken  # type: ignore[method-assign]
    account.roll_up()
    assert account.vehicles(NOON) == account.vehicles(DAY) == 2 * 2 * 3


def test_what_there_is_no_time_for_is_done_by_the_next_run_and_the_latest_comes_first(account: Account) -> None:
    account.store_windows(*(window(n, DAY_MS + n * HOUR_MS) for n in range(4)))
    assert len(account.roll_up(left_ms=1000).left) == 4
    steps = iter([900_000, 900_000, 0, 0])
    rollup = Rollup(account.store, 90, Logger(service="test"), account.clock)
    outcome = rollup.run(None, lambda: next(steps))
    assert (outcome.hours, outcome.left) == (2, [DAY_MS + HOUR_MS, DAY_MS])
    account.clock.now_ms += 10 * 60_000
    assert account.roll_up().hours == 2
    assert account.vehicles(DAY) == 4 * 2 * 3


def test_a_run_that_dies_before_the_day_is_written_repeats_the_hour(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.store_windows(window(1, NOON_MS))
    put = account.store.put_rows

    def die_at_the_day(key: str, rows: list[dict[str, Any]]) -> None:
        if key.startswith("daily/"):
            raise RuntimeError("killed")
        put(key, rows)

    monkeypatch.setattr(account.store, "put_rows", die_at_the_day)
    with pytest.raises(RuntimeError, match="killed"):
        account.roll_up()
    monkeypatch.undo()
    assert account.roll_up().hours == 1
    assert account.vehicles(DAY) == 6


def test_a_window_that_cannot_be_read_holds_up_its_own_hour_alone(account: Account) -> None:
    account.store_windows(window(1, NOON_MS), window(2, NOON_MS + HOUR_MS))
    (broken, *_) = (
        item for item in account.world.items("windows") if item["w"]["S"].startswith(str(NOON_MS + HOUR_MS))
    )
    account.world.dynamodb.put_item(TableName="windows", Item={**broken, "b": {"B": b"of another time"}})
    outcome = account.roll_up()
    assert (outcome.hours, outcome.left) == (1, [NOON_MS + HOUR_MS])
    assert account.vehicles(NOON) == account.vehicles(DAY) == 6
    account.world.dynamodb.put_item(TableName="windows", Item=broken)
    account.roll_up()
    assert account.vehicles(DAY) == 12


def test_hours_whose_windows_expire_stay_as_they_are(account: Account) -> None:
    account.store_windows(window(1, DAY_MS))
    outcome = account.roll_up(retention_days=1)
    assert (outcome.hours, outcome.expired) == (0, [DAY_MS])
    account.roll_up(retention_days=1)
    assert account.roll_up(retention_days=1).expired == []  # told, and not for ever
    with pytest.raises(RequestError, match="older than the 1 days for which windows are kept"):
        account.roll_up(requested_hours({"hour": "2026-09-22T00"}), retention_days=1)
    assert account.bodies() == {}


def test_a_week_replayed_is_a_week_once(account: Account) -> None:
    week = [window(n, DAY_MS + n * 14 * HOUR_MS, vehicles=n % 5) for n in range(12)]
    account.clock.now_ms += 7 * 24 * HOUR_MS
    account.store_windows(*week)
    account.roll_up()
    before = account.bodies()
    account.store_windows(*reversed(week))
    assert account.roll_up().hours == 12
    assert account.bodies() == before
    assert sum(account.vehicles(key) for key in before if key.startswith("daily/")) == sum(
        2 * (n % 5) for n in range(12)
    )


def test_days_have_24_hours_also_when_clocks_are_set_back() -> None:
    (first, *_, last) = requested_hours({"day": "2026-10-25"}) or [0]
    assert last - first == 23 * HOUR_MS
    assert logic.hour_key(first) == "hourly/dt=2026-10-25/00.json.gz"
    assert logic.hour_key(last) == "hourly/dt=2026-10-25/23.json.gz"
    assert logic.day_key(logic.day_of(last)) == "daily/dt=2026-10-25/day.json.gz"
    assert requested_hours({"hour": "2026-10-25T01"}) == [first + HOUR_MS]
    assert requested_hours({}) is None


@pytest.mark.parametrize("event", [{"day": "yesterday"}, {"day": 7}, {"hour": "2026-09-22"}, {"hour": None}])
def test_a_request_that_names_no_day_or_hour_is_refused_with_an_example(event: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"ask for .*2026-11-25T21"):
        requested_hours(event)


def test_the_grace_covers_a_mark_that_was_not_renewed() -> None:
    # Marked, rolled up, then stored without a new mark because the old one was younger than a minute.
    marked_ms = START_MS
    rolled_ms = marked_ms + MARK_AGAIN_MS + 60_000
    assert is_due(marked_ms, rolled_ms)
    assert not is_due(marked_ms, marked_ms + GRACE_MS + 1)


def test_many_gateways_are_read_page_by_page(account: Account) -> None:
    windows = [window(1, NOON_MS, gateway=f"gw-{n}", first_segment=10 * n) for n in range(20)]
    account.store_windows(*windows)
    assert account.roll_up().windows == 20
    assert len(account.rows(NOON)) == 40
