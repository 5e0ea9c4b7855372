from roadside.contract.summary import MAX_ACK_DELAY_MS
from roadside.runtime.uplink_settings import UplinkSettings
from tests.unit.roadside.runtime.uplink_bench import WALL_MS, Bench


def test_events_go_first_then_live_windows_then_the_backlog_each_the_oldest_first() -> None:
    bench = Bench()
    for payload in (b"old 1", b"old 2"):
        bench.queue(payload, at_ms=-120_000)
    bench.queue(b"live 1")
    bench.queue(b"event 1", "events", at_ms=-120_000)
    bench.queue(b"live 2")
    bench.queue(b"event 2", "events")
    bench.pump()
    assert bench.take() == [b"event 1", b"event 2", b"live 1", b"live 2", b"old 1", b"old 2"]


def test_a_full_window_of_backlog_leaves_places_for_live_windows_and_events() -> None:
    bench = Bench(UplinkSettings(window=4, publishes_per_second=90))
    for _ in range(9):
        bench.queue(b"old", at_ms=-120_000)
    bench.pump()
    assert bench.take() == [b"old"] * 2
    for _ in range(3):
        bench.queue(b"live")
        bench.queue(b"event", "events")
    bench.pump(1)
    assert bench.take() == [b"event", b"event"]
    bench.acknowledge(1, 2)
    bench.pump(2)
    assert bench.take() == [b"event"]
    bench.acknowledge(11)
    bench.pump(3)
    assert bench.take() == [b"live"]


def test_live_windows_that_would_take_every_place_leave_the_backlog_its_turn() -> None:
    bench = Bench(UplinkSettings(window=4, publishes_per_second=90))
    sequences = {name: bench.queue(name, at_ms=-120_000) for name in (b"old 1", b"old 2")}
    took: list[bytes] = []
    for second in range(6):
        for place in range(4):
            name = b"live %d" % (4 * second + place)
            sequences[name] = bench.queue(name)
        bench.pump(1000 * second)
        sent = bench.take()
        bench.acknowledge(*(sequences[name] for name in sent))
        took += sent
    assert [place for place, name in enumerate(took) if name.startswith(b"old")] == [7, 15]


def test_the_oldest_of_the_backlog_goes_first_also_when_it_was_never_sent_and_a_younger_one_was() -> None:
    bench = Bench()
    bench.queue(b"never sent", at_ms=-120_000, offered=False)
    bench.queue(b"sent before", at_ms=-120_000)
    bench.pump()
    assert bench.take() == [b"never sent", b"sent before"]


def test_an_acknowledgement_frees_a_place_and_its_message_is_never_sent_again() -> None:
    bench = Bench(UplinkSettings(window=1))
    bench.queue(b"one")
    bench.queue(b"two")
    assert bench.pump() == bench.settings.ack_timeout_ms
    assert bench.take() == [b"one"]
    bench.acknowledge(1)
    bench.pump(10)
    assert bench.take() == [b"two"]
    bench.acknowledge(2)
    bench.pump(10_000_000)
    assert bench.take() == []
    assert bench.store.outbox.totals().messages == 0


def test_resends_come_at_doubling_intervals_up_to_the_cap() -> None:
    bench = Bench(UplinkSettings(ack_timeout_ms=30_000, max_resend_ms=100_000, idle_ms=10**9))
    bench.queue(b"one")
    now_ms, times = 0, []
    for _ in range(6):
        wake_ms = bench.pump(now_ms)
        if bench.take():
            times.append(now_ms)
        now_ms = wake_ms
    assert times == [0, 30_000, 90_000, 190_000, 290_000, 390_000]
    statistics = bench.uplink.statistics(WALL_MS + 390_000)
    assert (statistics.sent, statistics.resent, statistics.acknowledged) == (6, 5, 0)
    assert (statistics.backlog_messages, statistics.backlog_age_ms) == (1, 390_000)


def test_a_cloud_that_gathers_acks_is_given_time_for_live_windows_and_summaries_and_for_nothing_else() -> None:
    bench = Bench(UplinkSettings(ack_timeout_ms=30_000, silence_ms=90_000, idle_ms=10**9))
    bench.queue(b"first")
    bench.pump()
    bench.acknowledge(1, gathered=True)
    bench.take()
    for payload, kind in ((b"live", "windows"), (b"event", "events"), (b"summary", "sensors")):
        bench.queue(payload, kind)
    bench.pump(1000)
    bench.take()
    bench.pump(31_000)
    assert bench.take() == [b"event"]
    bench.acknowledge(3)
    bench.pump(1000 + MAX_ACK_DELAY_MS)
    assert bench.take() == []
    assert bench.uplink.silent_ms(1000 + MAX_ACK_DELAY_MS) == 0
    bench.pump(31_000 + MAX_ACK_DELAY_MS)
    assert sorted(bench.take()) == [b"live", b"summary"]


def test_a_window_that_a_gathered_ack_leaves_out_is_sent_again_at_once() -> None:
    bench = Bench(UplinkSettings(ack_timeout_ms=30_000))
    bench.queue(b"before")
    bench.pump()
    bench.acknowledge(1, gathered=True)
    for payload, at_ms in ((b"lost", 0), (b"stored", 31_000), (b"on its way", 32_000)):
        bench.queue(payload, at_ms=at_ms)
        bench.pump(at_ms)
    bench.take()
    bench.acknowledge(3)
    bench.pump(33_000)
    assert bench.take() == [], "an ack of a single message tells nothing of others"
    bench.queue(b"stored too")
    bench.pump(34_000)
    bench.take()
    bench.acknowledge(5, gathered=True)
    bench.pump(35_000)
    assert bench.take() == [b"lost"]


def test_nothing_is_sent_twice_before_its_time() -> None:
    bench = Bench()
    bench.queue(b"one")
    for at_ms in (0, 0, 1, 29_999):
        bench.pump(at_ms)
    assert bench.take() == [b"one"]


def test_no_second_has_more_publishes_than_allowed() -> None:
    bench = Bench(UplinkSettings(publishes_per_second=5, window=90))
    for index in range(12):
        bench.queue(b"%d" % index)
    wakes = [bench.pump(0), bench.pump(999)]
    assert wakes == [1000, 1000]
    assert len(bench.take()) == 5
    assert bench.pump(1000) == 2000
    assert len(bench.take()) == 5
    bench.pump(2000)
    assert len(bench.take()) == 2


def test_unacknowledged_messages_are_sent_again_after_a_restart() -> None:
    bench = Bench()
    for payload in (b"one", b"two"):
        bench.queue(payload)
    bench.pump()
    bench.acknowledge(1)
    bench.take()
    bench.restart()
    bench.pump(5)
    assert bench.take() == [b"two"]


def test_an_acknowledgement_after_a_restart_settles_what_was_sent_before() -> None:
    bench = Bench()
    bench.queue(b"one")
    bench.pump()
    bench.restart()
    bench.acknowledge(1)
    bench.take()
    bench.pump(60_000)
    assert bench.take() == []
