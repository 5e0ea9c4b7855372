"""Passes over a fleet in memory: who is silent, what is missing, and what happens when a pass dies."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from cloud.functions.shared.envelope import MessageId
from cloud.functions.sweep.sweep import MAX_CATCH_UP_MS
from cloud.functions.sweep.windows import StoredWindow
from roadside.contract.bus import BusEvent, DataNotice, GatewayNotice
from roadside.contract.summary import MAX_ACK_DELAY_MS
from tests.unit.cloud.gateway_events import BORDER_INCIDENT
from tests.unit.cloud.messages import EPOCH_MS, START_MS
from tests.unit.cloud.sweep.fleet import GATEWAY, MINUTE_MS, Fleet, steady, window

NOW_MS = START_MS + 5 * MINUTE_MS  # windows 0 to 29 have ended; the last one arrives 3 s from now


def test_a_steady_fleet_is_read_once_a_pass_and_nothing_is_written_but_that_it_was() -> None:
    fleet = Fleet()
    fleet.add(*steady(range(29)))
    fleet.run(NOW_MS)  # learns that the gateway is online
    fleet.reads, known = 0, dict(fleet.known)

    outcome = fleet.run(NOW_MS + 1000)

    assert (outcome.gateways, outcome.offline, outcome.gaps, outcome.announced) == (1, 0, 0, 0)
    assert fleet.reads == 1
    assert fleet.known == known
    assert fleet.kinds == []


def test_every_live_window_is_acknowledged_within_the_time_that_gateways_give_it() -> None:
    fleet = Fleet(gathers_acks=True)
    stored_ms: dict[int, int] = {}
    acknowledged_ms: dict[int, int] = {}
    for second in range(20 * 60):
        now_ms = START_MS + 60_000 + 1000 * second
        # Windows of 10 s are stored 2 to 27 s after their end: as late as the processor leaves them to the sweep.
        for place in range(second // 10 + 2):
            late_ms = 2000 + place * 7 % 26 * 1000
            if place not in stored_ms and now_ms >= window(place).end_ms + late_ms:
                fleet.add(window(place))
                stored_ms[place] = now_ms
        if second % 60 in ({59, 0} if second % 180 else {0}):  # a schedule that is not quite regular
            fleet.run(now_ms)
            assert all(ack.gathered for ack in fleet.acks)
            for sequence in {sequence for ack in fleet.acks for sequence in ack.stored}:
                acknowledged_ms.setdefault(sequence - 100, now_ms)
            fleet.acks.clear()
    waited = [acknowledged_ms[place] - stored_ms[place] for place in acknowledged_ms]
    assert max(acknowledged_ms) > 100
    assert acknowledged_ms.keys() == set(range(max(acknowledged_ms) + 1))
    assert max(waited) <= MAX_ACK_DELAY_MS


def test_every_summary_of_sensors_is_acknowledged_within_the_time_that_gateways_give_it() -> None:
    fleet = Fleet(gathers_acks=True)
    fleet.add(*steady(range(240)))
    stored_ms: dict[int, int] = {}
    acknowledged_ms: dict[int, int] = {}
    for minute in range(1, 42):
        now_ms = START_MS + minute * MINUTE_MS
        if minute % 5 == 3 and minute < 36:  # as late as the processor leaves it to the sweep
            fleet.told.setdefault(GATEWAY, []).append((now_ms - 329_000, MessageId(GATEWAY, EPOCH_MS, 9000 + minute)))
            stored_ms[9000 + minute] = now_ms
        fleet.run(now_ms + 500 if minute % 2 else now_ms - 500)
        for sequence in {sequence for ack in fleet.acks for sequence in ack.stored if sequence >= 9000}:
            acknowledged_ms.setdefault(sequence, now_ms)
        fleet.acks.clear()

    assert acknowledged_ms.keys() == stored_ms.keys()
    assert max(acknowledged_ms[each] - stored_ms[each] for each in stored_ms) <= MAX_ACK_DELAY_MS


def test_acks_are_gathered_only_where_they_are_left_to_the_sweep_and_every_fourth_pass() -> None:
    for gathers, expected in ((False, [0, 0, 0, 0, 0]), (True, [1, 0, 0, 0, 1])):
        fleet = Fleet(gathers_acks=gathers)
        fleet.add(*steady(range(29)))
        counts = []
        for minute in range(5):
            fleet.run(NOW_MS + minute * MINUTE_MS)
            counts.append(len(fleet.acks))
            fleet.acks.clear()
        assert counts == expected


def test_killed_gateway_is_offline_within_90_seconds_wherever_passes_fall() -> None:
    for phase_ms in range(0, MINUTE_MS, 1000):
        fleet = Fleet()
        fleet.add(*steady(range(30)))
        died_ms = NOW_MS + 3_000  # just after its last window arrived
        told_ms = None
        now_ms = died_ms - MINUTE_MS + phase_ms
        while told_ms is None:
            fleet.tell()
            outcome = fleet.run(now_ms)
            if outcome.look_again and not fleet.kinds and now_ms > died_ms:
                again_ms = max(outcome.look_again.values())
                fleet.sweep().look_again(outcome.look_again, again_ms)
                told_ms = again_ms if fleet.kinds else None
            told_ms = now_ms if fleet.kinds and told_ms is None else told_ms
            now_ms += MINUTE_MS
        assert fleet.kinds == ["GatewayOffline"]
        assert told_ms - died_ms <= 90_000, phase_ms
        (event,) = fleet.announced.values()
        assert isinstance(event, GatewayNotice)
        assert (event.reason, event.started_ms) == ("silent", died_ms)


def test_gateway_whose_heartbeats_alone_are_lost_is_not_offline() -> None:
    fleet = Fleet()
    fleet.add(*steady(range(120)))
    fleet.tell(heartbeat_ms=START_MS)

    for minute in range(1, 20):
        fleet.run(START_MS + minute * MINUTE_MS)

    assert fleet.kinds == []


def test_gateway_that_returns_is_online_again_and_its_backlog_is_no_gap() -> None:
    fleet = Fleet()
    fleet.add(*steady(range(30)))
    fleet.run(NOW_MS)
    for minute in range(1, 61):
        fleet.run(NOW_MS + minute * MINUTE_MS)
    assert fleet.kinds == ["GatewayOffline"]

    back = 30 + 6 * 60  # an hour later, live windows first, then twenty of the backlog a minute, the oldest first
    for minute in range(40):
        fleet.add(*steady(range(back + 6 * minute, back + 6 * minute + 6)))
        fleet.add(*steady(range(30 + 20 * minute, min(30 + 20 * minute + 20, back))))
        fleet.run(START_MS + 10_000 * (back + 6 * minute + 6) + 4_000)

    assert fleet.kinds == ["GatewayOffline", "GatewayOnline"]
    assert fleet.sent == []
    assert fleet.known[GATEWAY].gaps == ()


def test_gap_is_told_once_asked_for_and_repaired() -> None:
    fleet = Fleet()
    fleet.add(*steady([*range(20), *range(22, 60)]))
    found_ms = START_MS + 10_000 * 24

    for minute in range(4):
        fleet.run(found_ms + minute * MINUTE_MS)
    assert fleet.kinds == ["DataGap"]
    ((gateway, command),) = fleet.sent
    assert (gateway, command.epoch_ms, command.runs) == (GATEWAY, EPOCH_MS, ((120, 2),))

    fleet.add(*steady([20, 21]))
    fleet.run(found_ms + 4 * MINUTE_MS)
    fleet.run(found_ms + 5 * MINUTE_MS)

    gap, repaired = fleet.announced.values()
    assert isinstance(gap, DataNotice)
    assert isinstance(repaired, DataNotice)
    assert (gap.first_ms, gap.until_ms, gap.missing_ms) == (START_MS + 200_000, START_MS + 220_000, 20_000)
    assert (repaired.kind, repaired.started_ms) == ("DataRepaired", gap.occurred_ms)
    assert fleet.known[GATEWAY].gaps == ()


def test_window_that_is_sent_again_in_time_is_no_gap() -> None:
    fleet = Fleet()
    fleet.add(*steady([*range(20), *range(21, 60)]))
    fleet.run(START_MS + 10_000 * 24)
    fleet.add(window(20))
    for minute in range(1, 5):
        fleet.run(START_MS + 10_000 * 24 + minute * MINUTE_MS)

    assert fleet.kinds == []


def test_gap_that_nobody_repairs_is_asked_for_again_and_not_for_ever() -> None:
    fleet = Fleet()
    for minute in range(150):
        fleet.add(*steady(place for place in range(6 * minute, 6 * minute + 6) if place != 20))
        fleet.run(START_MS + (minute + 1) * MINUTE_MS + 4_000)

    assert fleet.kinds == ["DataGap"]
    assert len(fleet.sent) == 6
    assert len({command.command_id for _, command in fleet.sent}) == 6


def test_gap_of_a_gateway_that_has_old_messages_to_send_waits_for_them() -> None:
    fleet = Fleet()
    for minute in range(75):
        fleet.add(*steady(place for place in range(6 * minute, 6 * minute + 6) if place not in range(20, 26)))
        now_ms = START_MS + (minute + 1) * MINUTE_MS + 4_000
        fleet.tell(heartbeat_ms=now_ms - 1_000, backlog_age_ms=600_000)
        fleet.run(now_ms)
        assert (fleet.kinds != []) == (minute >= 4 + 60), minute


def test_coarser_windows_fill_the_place_of_those_that_they_were_made_of() -> None:
    fleet = Fleet()
    fleet.add(*steady([*range(20), *range(50, 80)]))
    fleet.run(START_MS + 10_000 * 55)
    (gap,) = fleet.known[GATEWAY].gaps
    assert gap.missing_ms == 300_000

    fleet.add(window(20, windows=10, sequence=500), window(30, windows=20, sequence=501))
    fleet.run(START_MS + 10_000 * 61)

    assert fleet.known[GATEWAY].gaps == ()
    assert fleet.kinds == []


def test_gap_longer_than_the_overlap_of_passes_is_found() -> None:
    fleet = Fleet()
    for minute in range(60):
        missing = range(60, 120)  # ten minutes in which windows of others came, hence heartbeats too
        fleet.add(*steady(place for place in range(6 * minute, 6 * minute + 6) if place not in missing))
        now_ms = START_MS + (minute + 1) * MINUTE_MS + 4_000
        fleet.tell(heartbeat_ms=now_ms)
        fleet.run(now_ms)

    (gap,) = fleet.announced.values()
    assert isinstance(gap, DataNotice)
    assert gap.missing_ms == 600_000


def test_all_windows_at_once_are_our_own_fault_and_no_gateway_is_offline() -> None:
    fleet = Fleet()
    names = [f"gw-{number}" for number in range(5)]
    for name in names:
        fleet.add(*steady(range(30), name))
    for minute in range(31):
        for place, name in enumerate(names):
            if (minute + place) % 5 == 0 and (minute, name) != (10, "gw-0"):  # of which one got lost
                fleet.tell(name, heartbeat_ms=NOW_MS + minute * MINUTE_MS - 20_000)
        assert fleet.run(NOW_MS + minute * MINUTE_MS).stalled == (minute > 0)

    assert fleet.kinds == []


def test_while_all_windows_stall_the_broker_and_missing_heartbeats_tell_who_is_gone() -> None:
    fleet = Fleet()
    names = ["leaves", "falls-silent", "lives", "lives-too", "lives-as-well"]
    for name in names:
        fleet.add(*steady(range(30), name))
    told: dict[str, int] = {}
    for minute in range(16):
        now_ms = NOW_MS + minute * MINUTE_MS
        for name in names if minute == 0 else names[2:]:
            if minute % 5 == 0:
                fleet.tell(name, heartbeat_ms=now_ms - 1_000)
        if minute == 2:
            fleet.tell("leaves", disconnected_ms=now_ms - 30_000)
        fleet.run(now_ms)
        for event in fleet.announced.values():
            assert isinstance(event, GatewayNotice)
            told.setdefault(event.gateway, minute)

    assert told == {"leaves": 2, "falls-silent": 13}


def test_some_gateways_that_die_together_are_offline_at_the_second_look() -> None:
    fleet = Fleet()
    dead = [f"dead-{number}" for number in range(4)]
    for name in dead:
        fleet.add(*steady(range(27), name))
    fleet.add(*steady(range(40), "alive"))
    last_ms = START_MS + 273_000 + 999  # when the last windows of the dead arrived

    outcome = fleet.run(last_ms + 30_000)
    assert set(outcome.look_again) == set(dead)
    fleet.sweep().look_again(outcome.look_again, max(outcome.look_again.values()))

    assert fleet.kinds == ["GatewayOffline"] * 4


def test_gateway_with_a_slow_clock_lives() -> None:
    fleet = Fleet()
    fleet.add(*(window(place, received_ms=START_MS + 10_000 * place + 600_000) for place in range(60)))
    for minute in range(1, 8):
        fleet.run(START_MS + 600_000 + minute * MINUTE_MS)

    assert fleet.kinds == []


def test_pass_that_dies_before_the_bus_knows_is_made_good_by_the_next() -> None:
    fleet = Fleet()
    fleet.add(*steady(range(30)))
    fleet.run(NOW_MS)
    fleet.bus_fails = True

    outcome = fleet.run(NOW_MS + MINUTE_MS)
    assert (outcome.failed, fleet.kinds) == (1, [])

    fleet.bus_fails = False
    fleet.add(*steady(range(36, 42)))  # it came back meanwhile
    fleet.run(NOW_MS + 2 * MINUTE_MS + 4_000)

    assert fleet.kinds == ["GatewayOffline", "GatewayOnline"]
    assert fleet.known[GATEWAY].pending == ()


def test_two_passes_at_once_tell_everything_once() -> None:
    fleet = Fleet()
    fleet.add(*steady(range(30)))
    fleet.run(NOW_MS)
    first = fleet.sweep()
    before = fleet.gateways()
    fleet.run(NOW_MS + MINUTE_MS)  # the other one, between this one's reading and writing
    late = replace(before[0])
    assert fleet.put_gateway(late) is False

    first.run(NOW_MS + MINUTE_MS + 1000)

    assert fleet.kinds == ["GatewayOffline"]


def test_segments_of_a_silent_gateway_are_unknown_and_those_of_others_stay() -> None:
    fleet = Fleet()
    fleet.add(*steady(range(30)))
    fleet.segments = {100: (GATEWAY, NOW_MS - 10_000), 101: ("gw-0002", NOW_MS - 10_000), 7: (GATEWAY, NOW_MS)}
    fleet.run(NOW_MS)
    fleet.run(NOW_MS + MINUTE_MS)

    assert set(fleet.segments) == {101, 7}


def test_segments_that_nobody_renews_are_unknown_after_a_while() -> None:
    fleet = Fleet()
    fleet.segments = {1: ("gone", NOW_MS - 16 * MINUTE_MS), 2: ("here", NOW_MS - 14 * MINUTE_MS)}
    quarter_ms = -(-NOW_MS // (15 * MINUTE_MS)) * 15 * MINUTE_MS
    fleet.segments[2] = ("here", quarter_ms - MINUTE_MS)

    fleet.run(quarter_ms + 5_000)

    assert set(fleet.segments) == {2}


def test_passes_that_failed_for_hours_are_caught_up_with_for_one() -> None:
    fleet = Fleet(memories={"passed": str(NOW_MS - 5 * 3_600_000).encode()})
    assert fleet.sweep()._from_ms("passed", NOW_MS) == NOW_MS - MAX_CATCH_UP_MS


class Neighbours:
    """A judge that finds one incident, and counts what it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.committed = 0

    def judge(self, windows: Mapping[str, Sequence[StoredWindow]], now_ms: int) -> list[BusEvent]:
        assert set(windows) == {GATEWAY, "gw-0002"}
        self.given.append(len(windows[GATEWAY]))
        return [BORDER_INCIDENT]

    def commit(self) -> None:
        self.committed += 1


def test_judge_of_neighbours_sees_the_windows_and_keeps_its_memory_when_all_is_told() -> None:
    fleet, judge = Fleet(), Neighbours()
    fleet.add(*steady(range(29)), *steady(range(29), "gw-0002"))

    fleet.bus_fails = True
    fleet.sweep([judge]).run(NOW_MS)
    assert judge.committed == 0

    fleet.bus_fails = False
    fleet.sweep([judge]).run(NOW_MS + 1000)
    assert (judge.committed, fleet.kinds) == (1, ["IncidentSuspected"])
    assert judge.given[0] == 11  # of the passes' overlap of 120 s; the last window has not come


@pytest.mark.parametrize("status", ["unknown", "offline"])
def test_gateway_that_was_never_heard_is_no_event(status: str) -> None:
    fleet = Fleet()
    fleet.tell()
    fleet.run(NOW_MS)

    assert fleet.kinds == []
