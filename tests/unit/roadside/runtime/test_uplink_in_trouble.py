from dataclasses import replace

import pytest

from roadside.contract.codec import decode_window, encode_window
from roadside.runtime.database import StoreError
from roadside.runtime.ports import BusClosedError, BusRefusedError, BusUnavailableError
from roadside.runtime.uplink import DISK_RETRY_MS, OFFERED_AT_ONCE, mark_backfill
from roadside.runtime.uplink_settings import UplinkSettings
from tests.unit.roadside.runtime.uplink_bench import MANY, WALL_MS, WINDOW, Bench, failing, fine


def test_an_unavailable_bus_loses_nothing_and_is_asked_at_doubling_intervals() -> None:
    bench = Bench(UplinkSettings(min_retry_ms=1000, max_retry_ms=3000))
    bench.queue(b"window")
    bench.queue(b"event", "events")
    bench.bus.fault = failing(BusUnavailableError())
    wakes, now_ms = [], 0
    for _ in range(4):
        now_ms = bench.pump(now_ms)
        wakes.append(now_ms)
    assert wakes == [1000, 3000, 6000, 9000]
    bench.bus.fault = fine
    bench.pump(8999)
    assert bench.take() == []
    bench.pump(9000)
    assert bench.take() == [b"event", b"window"]
    assert bench.uplink.statistics(WALL_MS).unavailable == 4
    assert bench.uplink.statistics(WALL_MS).resent == 0


def test_a_refused_message_is_set_aside_and_the_next_one_goes() -> None:
    bench = Bench()
    bench.queue(b"poison")
    bench.queue(b"fine")
    bench.bus.fault = lambda payload: BusRefusedError("no rights") if payload == b"poison" else None
    bench.pump()
    assert bench.take() == [b"fine"]
    assert [letter.reason for letter in bench.store.outbox.dead_letters()] == ["no rights"]
    assert bench.uplink.statistics(WALL_MS).refused == 1


def test_revived_dead_letters_are_sent_again() -> None:
    bench = Bench()
    bench.queue(b"poison")
    bench.queue(b"fine")
    bench.bus.fault = failing(BusRefusedError("no rights"))
    bench.pump()
    bench.bus.fault = fine
    assert bench.uplink.revive_dead_letters() == 2
    bench.pump(1)
    assert bench.take() == [b"poison", b"fine"]


def test_a_closed_bus_is_the_callers_affair_and_loses_nothing() -> None:
    bench = Bench()
    bench.queue(b"one")
    bench.bus.fault = failing(BusClosedError())
    with pytest.raises(BusClosedError):
        bench.pump()
    assert bench.store.outbox.totals().messages == 1


def test_what_the_cloud_refuses_becomes_a_dead_letter() -> None:
    bench = Bench()
    bench.queue(b"one")
    bench.pump()
    bench.acknowledge(refused=((1, "wrong gateway"),))
    assert [letter.reason for letter in bench.store.outbox.dead_letters()] == ["wrong gateway"]
    bench.take()
    bench.pump(60_000)
    assert bench.take() == []


def test_acknowledgements_of_another_epoch_and_unreadable_ones_change_nothing_and_are_counted() -> None:
    bench = Bench()
    bench.queue(b"one")
    bench.acknowledge(1, epoch_ms=WALL_MS - 1)
    bench.uplink.on_ack(b"\xff\xff", WALL_MS)
    statistics = bench.uplink.statistics(WALL_MS)
    assert (statistics.acks_of_other_epochs, statistics.acks_unreadable) == (1, 1)
    assert statistics.backlog_messages == 1


def full_disk(*_arguments: object) -> None:
    raise StoreError("full", "writing", "no room")


def test_an_acknowledgement_that_the_disk_does_not_take_is_remembered_and_settled_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.queue(b"one")
    bench.queue(b"two")
    bench.pump()
    with monkeypatch.context() as patched:
        patched.setattr(bench.store.outbox, "settle", full_disk)
        bench.acknowledge(1, refused=((2, "no"),))
        assert bench.pump(30_000) == 30_000 + DISK_RETRY_MS
    assert bench.take() == [b"one", b"two"], "neither is sent again"
    assert bench.store.outbox.totals().acknowledged == 0
    bench.pump(30_000 + DISK_RETRY_MS)
    totals = bench.store.outbox.totals()
    assert (totals.messages, totals.acknowledged, totals.refused) == (0, 1, 1)


def test_what_a_full_disk_kept_from_becoming_a_dead_letter_is_revived_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.queue(b"one")
    bench.bus.fault = failing(BusRefusedError("no rights"))
    with monkeypatch.context() as patched:
        patched.setattr(bench.store.outbox, "settle", full_disk)
        bench.pump()
    bench.bus.fault = fine
    assert bench.uplink.revive_dead_letters() == 1
    bench.pump(DISK_RETRY_MS)
    assert bench.take() == [b"one"]
    assert bench.store.outbox.totals().dead_letters == 0


def test_acknowledgements_of_the_unknown_are_ignored() -> None:
    bench = Bench()
    bench.acknowledge(1, 2, refused=((3, "no"),))
    assert bench.queue(b"one") == 1
    bench.pump()
    assert bench.take() == [b"one"]


def test_a_message_given_up_meanwhile_is_not_sent() -> None:
    bench = Bench()
    bench.queue(b"one", at_ms=0)
    bench.uplink.pump(WALL_MS, 0)
    bench.take()
    bench.queue(b"two", at_ms=8 * 24 * 3600 * 1000)
    bench.pump(8 * 24 * 3600 * 1000)
    assert bench.take() == [b"two"]
    assert bench.uplink.statistics(WALL_MS).given_up == 1


def test_pumping_inside_a_transaction_is_refused() -> None:
    bench = Bench()
    with pytest.raises(RuntimeError, match="transaction"), bench.store.transaction():
        bench.pump()


def test_only_a_window_that_leaves_late_is_marked_as_backfill() -> None:
    bench = Bench(on_late=None)
    live, late = encode_window(WINDOW), encode_window(replace(WINDOW, window_start_ms=5))
    bench.queue(live, at_ms=0)
    bench.queue(late, at_ms=-60_001)
    bench.pump()
    first, second = (decode_window(payload) for payload in bench.take())
    assert first == WINDOW
    assert second == replace(WINDOW, window_start_ms=5, backfill=True)


def test_marking_backfill_twice_changes_nothing_more() -> None:
    once = mark_backfill(encode_window(WINDOW))
    assert mark_backfill(once) == once


def test_a_late_window_that_is_none_is_set_aside() -> None:
    bench = Bench(on_late=None)
    bench.queue(b"\xff\xff", at_ms=-120_000)
    bench.pump()
    assert bench.take() == []
    assert len(bench.store.outbox.dead_letters()) == 1


def test_a_window_is_offered_on_the_disk_before_the_bus_has_it_and_a_backlog_many_at_a_time() -> None:
    bench = Bench()
    for number in range(OFFERED_AT_ONCE + 5):
        bench.queue(b"%d" % (number + 1), at_ms=-120_000, offered=False)

    def look(payload: bytes) -> None:
        assert int(payload) in bench.offered()

    bench.bus.fault = look
    bench.uplink.configure(UplinkSettings(publishes_per_second=90, window=3))
    bench.pump()
    assert bench.take() == [b"1"], "one place of three for a backlog"
    assert len(bench.offered()) == OFFERED_AT_ONCE
    bench.uplink.configure(MANY)
    bench.pump(1)
    assert len(bench.take()) == OFFERED_AT_ONCE + 4
    assert bench.uplink.takes_live


def test_while_the_bus_is_unavailable_one_window_tries_and_the_others_stay_unsent() -> None:
    bench = Bench(UplinkSettings(min_retry_ms=1000))
    bench.bus.fault = failing(BusUnavailableError())
    now_ms = 0
    for _ in range(10):
        bench.queue(b"w", at_ms=now_ms, offered=bench.uplink.takes_live)
        now_ms = bench.pump(now_ms)
    assert bench.offered() == [1]
    assert not bench.uplink.takes_live
    bench.bus.fault = fine
    bench.pump(now_ms)
    assert len(bench.take()) > 1
    assert bench.uplink.takes_live


def test_while_nothing_is_acknowledged_only_events_and_what_was_sent_are_sent() -> None:
    bench = Bench(UplinkSettings(silence_ms=90_000, publishes_per_second=90))
    bench.queue(b"first")
    for now_ms in range(0, 600_000, 10_000):
        if now_ms >= 90_000:
            bench.pump(now_ms)
            bench.queue(b"fresh", at_ms=now_ms, offered=bench.uplink.takes_live)
        bench.pump(now_ms)
    assert set(bench.take()) == {b"first"}
    event = bench.queue(b"event", "events", at_ms=600_000)
    bench.pump(600_000)
    assert b"event" in bench.take()
    assert bench.uplink.silent_ms(600_000) == 600_000
    bench.acknowledge(1, event)
    assert bench.uplink.silent_ms(600_000) == 0
    bench.pump(600_001)
    assert bench.take() == [b"fresh"] * 6, "as many as the sending window has for a backlog"


def test_a_gateway_whose_messages_were_all_given_up_still_tries_one() -> None:
    bench = Bench()
    bench.queue(b"old")
    bench.pump()
    bench.take()
    week_ms = 8 * 24 * 3600 * 1000
    bench.queue(b"new", at_ms=week_ms, offered=False)
    bench.queue(b"newer", at_ms=week_ms, offered=False)
    bench.pump(week_ms)
    assert bench.take() == [b"new"]


def test_sensor_summaries_go_between_live_windows_and_backlog() -> None:
    bench = Bench()
    bench.queue(b"old", at_ms=-120_000)
    bench.queue(b"summary", "sensors", at_ms=-120_000)
    bench.queue(b"live")
    bench.queue(b"event", "events")
    bench.pump()
    assert bench.take() == [b"event", b"live", b"summary", b"old"]


def test_a_disk_that_takes_no_offer_holds_fresh_windows_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.queue(b"offered")
    bench.queue(b"fresh", offered=False)
    bench.queue(b"event", "events")
    with monkeypatch.context() as patched:
        patched.setattr(bench.store.outbox, "offer", full_disk)
        assert bench.pump() == DISK_RETRY_MS
        assert bench.take() == [b"event", b"offered"]
    bench.pump(DISK_RETRY_MS)
    assert bench.take() == [b"fresh"]


def test_a_corrupt_database_is_told_wherever_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt(*_arguments: object) -> None:
        raise StoreError("corrupt", "writing", "malformed")

    bench = Bench()
    bench.queue(b"one")
    bench.pump()
    monkeypatch.setattr(bench.store.outbox, "settle", corrupt)
    with pytest.raises(StoreError):
        bench.acknowledge(1)


def test_a_short_budget_lets_events_pass_holds_the_rest_and_tells() -> None:
    bench = Bench(UplinkSettings(daily_budget_bytes=1000, publishes_per_second=90, window=90))
    for _ in range(10):
        bench.queue(bytes(200))
    bench.queue(b"event", "events")
    bench.pump()
    taken = bench.take()
    assert (len(taken), taken[0]) == (5, b"event")
    statistics = bench.uplink.statistics(WALL_MS)
    assert statistics.held_by_budget
    assert statistics.spent_bytes == 4 * 205 + 10
    assert not bench.uplink.takes_live
    bench.acknowledge(1, 2, 3, 4, 11)
    hour_ms = 3600 * 1000
    bench.pump(24 * hour_ms)
    assert len(bench.take()) == 2, "it is eight o'clock: a third of the day's bytes may be gone"
    bench.acknowledge(5, 6)
    bench.pump(32 * hour_ms)
    assert len(bench.take()) == 2


def test_repetitions_count_as_bytes_of_the_day() -> None:
    bench = Bench()
    bench.queue(bytes(100))
    bench.pump(0)
    bench.pump(30_000)
    assert len(bench.take()) == 2
    assert bench.uplink.statistics(WALL_MS).spent_bytes == 2 * 105


def test_messages_asked_for_go_at_once_and_those_not_held_are_told() -> None:
    bench = Bench()
    for payload in (b"one", b"two", b"three"):
        bench.queue(payload)
    bench.pump()
    bench.acknowledge(2)
    bench.take()
    assert bench.uplink.resend([(1, 2), (3, 5)], WALL_MS) == 2
    bench.pump(10)
    assert bench.take() == [b"one", b"three"]
    bench.pump(30_000)
    bench.pump(30_010)
    assert len(bench.take()) <= 2


def test_the_oldest_message_tries_the_way_ahead_of_its_time() -> None:
    bench = Bench()
    bench.uplink.try_way(WALL_MS)
    for payload in (b"one", b"two"):
        bench.queue(payload)
    bench.pump()
    bench.acknowledge(1)
    bench.take()
    bench.uplink.try_way(WALL_MS)
    bench.pump(10)
    assert bench.take() == [b"two"]


@pytest.mark.parametrize("changes", [{"publishes_per_second": 0}, {"publishes_per_second": 91}, {"window": 0}])
def test_settings_outside_the_limits_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        UplinkSettings(**changes)
