"""The pipeline's faults one by one: the disk, the bus, refused results, layouts that follow each other."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aggregator import pipeline as pipeline_module
from aggregator import results as results_module
from aggregator.pipeline import JOURNAL_INTERVAL_MS, RETRY_MS, Pipeline
from aggregator.settings import AggregatorSettings
from roadside.contract.commands import ResendCommand, ReviveDeadLettersCommand, encode_command
from roadside.contract.errors import InvalidTopicError
from roadside.runtime.database import StoreError
from roadside.runtime.outbox import OutboxLimits
from roadside.runtime.ports import BusClosedError, BusRefusedError
from roadside.runtime.store import GatewayStore
from tests.unit.aggregator.rig import (
    READINGS,
    START_MS,
    FakeCloud,
    Gateway,
    Reading,
    Weather,
    check_windows,
    last_editions,
    settings,
)


def feed(gateway: Gateway, seconds: int, *, crash_at: int | None = None) -> set[Reading]:
    told = set()
    for second in range(seconds):
        readings = [Reading(sensor, gateway.wall_ms) for sensor in (10, 20, 21)]
        gateway.receive(*readings)
        told |= set(readings)
        gateway.pass_time(1000)
        if second == crash_at:
            gateway.crash(down_ms=0)
    return told


def test_readings_before_the_first_window_survive_a_crash() -> None:
    gateway = Gateway(settings())
    told = feed(gateway, 5, crash_at=4)
    check_windows(gateway.cloud.windows(gateway.finish()), told)


def test_a_reading_is_at_risk_until_the_journal_is_written_and_no_longer() -> None:
    for wait_ms, survivors in ((JOURNAL_INTERVAL_MS - 1, 1), (JOURNAL_INTERVAL_MS, 2)):
        gateway = Gateway(settings())
        gateway.receive(Reading(10, gateway.wall_ms))
        gateway.pass_time(JOURNAL_INTERVAL_MS)
        gateway.receive(Reading(20, gateway.wall_ms))
        gateway.pass_time(wait_ms)
        gateway.crash()
        assert gateway.pipeline.statistics(gateway.wall_ms).readings_accepted == survivors


def test_it_sleeps_while_nothing_is_due() -> None:
    gateway = Gateway(settings())
    assert gateway.wake_ms - gateway.steady_ms >= 60_000
    gateway.receive(Reading(10, gateway.wall_ms))
    assert gateway.wake_ms - gateway.steady_ms == JOURNAL_INTERVAL_MS
    ticks = 0
    while gateway.wall_ms < START_MS + 120_000:
        step_ms = gateway.wake_ms - gateway.steady_ms
        gateway.wall_ms += step_ms
        gateway.steady_ms += step_ms
        gateway.tick()  # asserts that it does not ask for the same instant again
        ticks += 1
    assert 10 <= ticks <= 40  # a window every 10 s, and resends of what nobody acknowledges


def test_results_wait_in_memory_while_the_disk_is_full() -> None:
    gateway = Gateway(settings())
    told = feed(gateway, 3)
    gateway.fill_disk()
    told |= feed(gateway, 120)
    assert len(gateway.cloud.windows()) < 8
    gateway.empty_disk()
    gateway.pass_time(RETRY_MS)
    assert gateway.pipeline.statistics(gateway.wall_ms).results_shed == 0
    check_windows(gateway.cloud.windows(gateway.finish()), told)


def failing(monkeypatch: pytest.MonkeyPatch, gateway: Gateway, fault: str) -> None:
    @contextmanager
    def transaction() -> Iterator[None]:
        raise StoreError(fault, "writing", "a test says so")  # type: ignore[arg-type]
        yield

    monkeypatch.setattr(gateway.store, "transaction", transaction)


@pytest.mark.parametrize("fault", ["locked", "failed"])
def test_any_fault_of_the_disk_that_may_pass_is_waited_out(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    gateway = Gateway(settings())
    with monkeypatch.context() as patch:
        failing(patch, gateway, fault)
        told = feed(gateway, 30)
        assert gateway.cloud.windows() == []
    check_windows(gateway.cloud.windows(gateway.finish()), told)


def test_a_corrupt_database_ends_the_process_because_only_a_restart_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(settings())
    failing(monkeypatch, gateway, "corrupt")
    with pytest.raises(StoreError):
        feed(gateway, 1)


def test_what_is_held_in_memory_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "MAX_HELD", 3)
    monkeypatch.setattr(pipeline_module, "MAX_JOURNAL_BYTES", 500)
    gateway = Gateway(settings())
    with monkeypatch.context() as patch:
        failing(patch, gateway, "full")
        feed(gateway, 100)
    shed = gateway.pipeline.statistics(gateway.wall_ms).results_shed
    assert shed >= 5
    assert len(gateway.pipeline._results) == 3
    assert gateway.pipeline._unjournalled_bytes <= 500
    gateway.pipeline.drain(gateway.wall_ms)
    healthy = Gateway(settings())
    feed(healthy, 100)
    healthy.pipeline.drain(healthy.wall_ms)
    shed = gateway.pipeline.statistics(gateway.wall_ms).results_shed
    assert queued(gateway) + shed == queued(healthy)


def queued(gateway: Gateway) -> int:
    """Windows and events that were ever queued."""
    return gateway.store.outbox._counters.value("sequence")


def test_a_bus_that_is_unavailable_for_long_delays_and_loses_nothing() -> None:
    gateway = Gateway(settings())
    gateway.cloud.reachable = False
    told = feed(gateway, 20)
    gateway.pass_time(1800_000)
    gateway.cloud.reachable = True
    check_windows(gateway.cloud.windows(gateway.finish()), told)


def test_a_message_that_the_bus_refuses_is_set_aside_and_the_others_go_on() -> None:
    class Refusing(FakeCloud):
        refused = 0

        def publish_cloud(self, topic: str, payload: bytes) -> None:
            if not self.refused:
                self.refused += 1
                raise BusRefusedError("not that one")
            super().publish_cloud(topic, payload)

    gateway = Gateway(settings(), Refusing())
    feed(gateway, 30)
    gateway.finish()
    [letter] = gateway.store.outbox.dead_letters()
    assert letter.reason == "not that one"
    assert min(sequence for _, sequence in gateway.cloud.messages) == letter.message.sequence + 1


def test_a_closed_bus_is_told_and_what_was_accepted_is_safe() -> None:
    class Closed(FakeCloud):
        closed = True

        def publish_cloud(self, topic: str, payload: bytes) -> None:
            if self.closed:
                raise BusClosedError("gone")
            super().publish_cloud(topic, payload)

    cloud = Closed()
    gateway = Gateway(settings(), cloud)
    told = {Reading(10, gateway.wall_ms), Reading(20, gateway.wall_ms + 13_000)}
    gateway.receive(Reading(10, gateway.wall_ms))
    gateway.pass_time(13_000)
    with pytest.raises(BusClosedError):
        gateway.receive(Reading(20, gateway.wall_ms))
    gateway.pipeline.flush(gateway.wall_ms)
    cloud.closed = False
    gateway.crash()
    check_windows(cloud.windows(gateway.finish()), told)


def test_a_result_too_large_to_send_is_counted_once_and_stops_nothing() -> None:
    gateway = Gateway(settings())
    gateway.store.outbox._limits = OutboxLimits(max_payload_bytes=10)
    feed(gateway, 13)
    gateway.store.outbox._limits = OutboxLimits()
    assert gateway.pipeline.statistics(gateway.wall_ms).results_shed == 1
    feed(gateway, 10)
    last = gateway.finish()
    assert len(gateway.cloud.windows(last)) == 2
    assert {sequence for _, sequence in gateway.cloud.messages} >= set(range(2, last + 1))
    assert (gateway.store.epoch_ms, 1) not in gateway.cloud.messages


def test_a_refused_result_is_not_counted_for_a_transaction_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(settings())
    gateway.store.outbox._limits = OutboxLimits(max_payload_bytes=10)
    monkeypatch.setattr(gateway.store.journal, "clear", lambda: (_ for _ in ()).throw(StoreError("full", "x", "y")))
    feed(gateway, 20)
    assert gateway.pipeline.statistics(gateway.wall_ms).results_shed == 0
    monkeypatch.undo()
    gateway.pass_time(RETRY_MS)
    assert gateway.pipeline.statistics(gateway.wall_ms).results_shed == 1


def test_a_name_that_no_topic_can_hold_is_refused_at_once() -> None:
    store = GatewayStore.open(None, 1)
    with pytest.raises(InvalidTopicError):
        Pipeline("gw:1", store, FakeCloud(), AggregatorSettings(), steady_ms=0)


def test_without_segments_messages_are_counted() -> None:
    gateway = Gateway(AggregatorSettings())
    gateway.receive_payload(READINGS, b"[]")
    assert gateway.pipeline.statistics(gateway.wall_ms).messages_unreadable == {"no segments configured": 1}


def total(gateway: Gateway) -> int:
    statistics = gateway.pipeline.statistics(gateway.wall_ms)
    rejected = sum(statistics.readings_rejected.values())
    return statistics.readings_accepted + statistics.readings_duplicate + rejected


def test_every_reading_is_counted_once_through_layouts_crashes_and_the_end_of_generations() -> None:
    gateway = Gateway(settings(correction_seconds=20))
    fed = 0
    for layout, window_seconds in (("plain", 10), ("removed", 60), ("added", 10), ("renumbered", 15)):
        gateway.apply(settings(layout, window_seconds=window_seconds, correction_seconds=20))
        for _ in range(40):
            now_ms = gateway.wall_ms
            readings = [Reading(sensor, now_ms - late_ms) for sensor in (10, 30, 99) for late_ms in (0, 12_000, 90_000)]
            gateway.receive(*readings, *readings[:2], Reading(20, now_ms + 100_000))
            fed += 12
            gateway.pass_time(2500)
            assert total(gateway) == fed
        gateway.pipeline.flush(gateway.wall_ms)
        gateway.crash()
        assert total(gateway) == fed
    assert len(gateway.pipeline._generations) <= 2, "earlier generations have come to their end"
    last_editions(gateway.cloud.windows(gateway.finish()))


def test_a_reading_for_a_generation_that_is_over_makes_no_second_window() -> None:
    gateway = Gateway(settings(correction_seconds=0))
    told = feed(gateway, 20)
    gateway.apply(settings(correction_seconds=86_400, window_seconds=60))
    told |= feed(gateway, 120)
    late = Reading(20, min(told, key=lambda reading: reading.at_ms).at_ms + 500)
    gateway.receive(late)
    assert gateway.pipeline.statistics(gateway.wall_ms).readings_rejected == {"too_late": 1}
    check_windows(gateway.cloud.windows(gateway.finish()), told)


@pytest.mark.parametrize("crash", [False, True])
def test_a_late_reading_corrects_a_window_of_the_layout_before(crash: bool) -> None:
    gateway = Gateway(settings())
    told = feed(gateway, 25)
    first_ms = min(reading.at_ms for reading in told)
    gateway.apply(settings("renumbered", window_seconds=60))
    told |= feed(gateway, 70)
    late = Reading(11, first_ms)
    gateway.receive(late)
    gateway.pass_time(JOURNAL_INTERVAL_MS)
    if crash:
        gateway.crash()
    last = gateway.finish()
    windows = gateway.cloud.windows(last)
    assert last_editions(windows)[first_ms].revision == 1
    assert {window.window_ms for window in windows} == {10_000, 60_000}
    check_windows(windows, told | {late})


def test_a_layout_that_never_had_a_reading_leaves_no_trace() -> None:
    gateway = Gateway(settings())
    gateway.apply(settings("added", window_seconds=60))
    gateway.apply(settings("renumbered", window_seconds=15))
    assert len(gateway.pipeline._generations) == 1
    told = feed(gateway, 20)
    check_windows(gateway.cloud.windows(gateway.finish()), told)


def test_the_last_windows_of_a_layout_do_not_wait_for_silence() -> None:
    gateway = Gateway(settings())
    feed(gateway, 9)
    gateway.apply(settings(window_seconds=60))
    feed(gateway, 6)
    assert 10_000 in {window.window_ms for window in gateway.cloud.windows()}


def test_what_the_cloud_asks_for_is_sent_again_at_once_if_it_is_still_held() -> None:
    gateway = Gateway(settings(), FakeCloud(Weather(loss=1.0)))
    feed(gateway, 25)
    before = gateway.cloud.published
    epoch_ms = gateway.store.epoch_ms
    gateway.pipeline.on_command(encode_command(ResendCommand("c", epoch_ms, ((1, 2), (500, 3)))), gateway.wall_ms)
    gateway.tick()
    assert gateway.cloud.published == before + 2
    gateway.pipeline.on_command(encode_command(ResendCommand("c", epoch_ms + 1, ((1, 2),))), gateway.wall_ms)
    gateway.pipeline.on_command(b"{}", gateway.wall_ms)
    gateway.tick()
    assert gateway.cloud.published == before + 2
    told = gateway.pipeline.statistics(gateway.wall_ms).commands
    assert told == {"resend": 2, "resend_due": 2, "resend_not_held": 5, "refused": 1}


def test_dead_letters_are_revived_on_command() -> None:
    class Forbidding(FakeCloud):
        forbids = True

        def publish_cloud(self, topic: str, payload: bytes) -> None:
            if self.forbids:
                raise BusRefusedError("no rights")
            super().publish_cloud(topic, payload)

    cloud = Forbidding()
    gateway = Gateway(settings(), cloud)
    told = feed(gateway, 25)
    assert gateway.pipeline.statistics(gateway.wall_ms).uplink.dead_letters >= 2
    cloud.forbids = False
    gateway.pipeline.on_command(encode_command(ReviveDeadLettersCommand("c")), gateway.wall_ms)
    check_windows(cloud.windows(gateway.finish()), told)
    assert gateway.pipeline.statistics(gateway.wall_ms).uplink.dead_letters == 0


def test_a_larger_correction_age_opens_no_window_again_that_was_final() -> None:
    gateway = Gateway(settings(correction_seconds=5))
    told = feed(gateway, 40)
    first_ms = min(reading.at_ms for reading in told)
    gateway.apply(settings(correction_seconds=3600))
    gateway.receive(Reading(11, first_ms))
    assert gateway.pipeline.statistics(gateway.wall_ms).readings_rejected == {"too_late": 1}
    gateway.pass_time(JOURNAL_INTERVAL_MS)
    gateway.crash()
    gateway.receive(Reading(11, first_ms))
    assert gateway.pipeline.statistics(gateway.wall_ms).readings_rejected == {"too_late": 2}
    check_windows(gateway.cloud.windows(gateway.finish()), told)
