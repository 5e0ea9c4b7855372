"""The processor on a shard in bad weather: whatever fails, dies or comes twice, nothing is lost and nothing doubled.

The tables are dictionaries that take a write as DynamoDB does; Lambda's mapping is played as AWS documents it: it goes
on after a batch, from the first failed record, or with the whole batch again when the process died.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.functions.processor.batch import Outcome, Processor
from cloud.functions.processor.current import CurrentStates
from cloud.functions.processor.logic import LEVEL_STEP, SegmentState, SensorsRecord, WindowRecord
from cloud.functions.shared.acks import AckLedger
from cloud.functions.shared.envelope import PoisonError
from roadside.contract import messages_pb2 as pb
from roadside.contract.codec import encode_window
from roadside.contract.sensors import encode_sensors
from roadside.contract.summary import CongestionState, WindowSummary
from tests.unit.cloud.messages import START_MS, kinesis_record, make_sensors, make_window, wrap

GATEWAYS = ("gw-a", "gw-b", "gw-c")
REFRESH_MS = 900_000


class Killed(BaseException):
    """The process died here."""


@dataclass
class Weather:
    """Which of the coming calls fails, and how; every fault happens once.

    Parameters
    ----------
    faults : "throttle", "kill before" or "kill after" its effect, by the number of the call
    """

    faults: dict[int, str] = field(default_factory=dict)
    calls: int = 0
    dead: bool = False
    happened: Counter[str] = field(default_factory=Counter)

    def through(self, effect: Callable[[], Any]) -> Any:
        """Make one call; Killed of a process that died in this one or an earlier."""
        if self.dead:
            raise Killed
        self.calls += 1
        fault = self.faults.pop(self.calls, None)
        if fault is not None:
            self.happened[fault] += 1
        if fault == "throttle":
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "any")
        if fault == "kill before":
            self.dead = True
            raise Killed
        answer = effect()
        if fault == "kill after":
            self.dead = True
            raise Killed
        return answer


class Cloud:
    """Tables, the queue of parked messages and the broker; shared by all processors, whichever dies."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.windows: dict[tuple[str, int, int], WindowSummary] = {}
        self.sensors: dict[tuple[str, int, int, int], int] = {}
        self.states: dict[int, SegmentState] = {}
        self.lake: Counter[tuple[str, int, int]] = Counter()
        self.parked: list[str] = []
        self.safe: set[tuple[str, int, int]] = set()  # messages that are stored, by gateway, epoch and sequence
        self.stored_acks: set[tuple[str, int, int]] = set()
        self.refused_acks: set[tuple[str, int, int]] = set()
        self.effective_writes = 0


class Port:
    """What one processor sees of the cloud, through its weather."""

    def __init__(self, cloud: Cloud, weather: Weather) -> None:
        self.cloud = cloud
        self.weather = weather

    def put_window(self, record: WindowRecord) -> bool:
        window = record.window
        key = window.gateway, window.window_start_ms, window.epoch_ms

        def put() -> bool:
            self.cloud.safe.add((window.gateway, window.epoch_ms, window.sequence))
            held = self.cloud.windows.get(key)
            if held is not None and held.revision >= window.revision:
                return False
            self.cloud.windows[key] = window
            self.cloud.effective_writes += 1
            return True

        return self._call(put)

    def put_sensors(self, record: SensorsRecord) -> bool:
        summary = record.summary
        key = summary.gateway, summary.interval_start_ms, summary.epoch_ms, summary.part

        def put() -> bool:
            self.cloud.safe.add((summary.gateway, summary.epoch_ms, summary.sequence))
            if key in self.cloud.sensors:
                return False
            self.cloud.sensors[key] = summary.sequence
            self.cloud.effective_writes += 1
            return True

        return self._call(put)

    def read_segments(self, numbers: Sequence[int]) -> dict[int, SegmentState]:
        states = self.cloud.states
        return self._call(lambda: {number: states[number] for number in numbers if number in states})

    def put_segments(self, states: Sequence[SegmentState]) -> dict[int, SegmentState]:
        return {state.segment: self._call(lambda state=state: self._put(state)) for state in states}

    def _put(self, state: SegmentState) -> SegmentState:
        held = self.cloud.states.get(state.segment)
        if held is not None and held.age_rank >= state.age_rank:
            return held
        self.cloud.states[state.segment] = state
        return state

    def take(self, messages: Sequence[tuple[str, WindowRecord | SensorsRecord]]) -> list[str]:
        """Rows go one message after the other; that one did not is told by its number."""
        failed = []
        for number, message in messages:
            told = message.message_id
            try:
                self._call(lambda told=told: self.cloud.lake.update([(told.gateway, told.epoch_ms, told.sequence)]))
            except ClientError:
                failed.append(number)
        return failed

    def park(self, poison: PoisonError, raw: str, coordinates: object) -> None:
        self._call(lambda: self.cloud.parked.append(raw))

    def publish(self, ledger: AckLedger) -> int:
        """Acks may be lost, and then their messages come again; here those count that went out."""

        def tell() -> int:
            for gateway, ack in ledger.acks():
                told = {(gateway, ack.epoch_ms, sequence) for sequence in ack.stored}
                assert told <= self.cloud.safe, "acknowledged before it was stored"
                self.cloud.stored_acks |= told
                self.cloud.refused_acks |= {(gateway, ack.epoch_ms, sequence) for sequence, _ in ack.refused}
            return 0

        try:
            return int(self._call(tell))
        except ClientError:
            return 1

    def _call(self, effect: Callable[[], Any]) -> Any:
        with self.cloud.lock:
            return self.weather.through(effect)


def processor(cloud: Cloud, weather: Weather) -> Processor:
    port: Any = Port(cloud, weather)
    current = CurrentStates(port, REFRESH_MS, reads_per_batch=1000)
    quiet = Logger(service="test", level="CRITICAL")
    return Processor(tables=port, current=current, lake=port, parking=port, acks=port, logger=quiet, gathers_acks=False)


def drain(cloud: Cloud, shard: list[dict[str, Any]], faults: dict[int, str], batch_size: int) -> Weather:
    """Process the shard to its end as Lambda's mapping does; a dead process is followed by a new one."""
    weather = Weather(dict(faults))
    living = processor(cloud, weather)
    place = 0
    while place < len(shard):
        batch = shard[place : place + batch_size]
        try:
            failed = living.process(list(batch)).failed
        except Killed:
            weather.dead = False
            living = processor(cloud, weather)
            continue
        numbers = [record["kinesis"]["sequenceNumber"] for record in batch]
        place += min((numbers.index(number) for number in failed), default=len(batch))
    return weather


def record_of(payload: bytes, gateway: str, number: int, *, kind: str = "windows", received_ms: int) -> dict[str, Any]:
    record = kinesis_record(wrap(payload, gateway, received_ms, kind), number)
    record["kinesis"]["partitionKey"] = gateway
    return record


def window_of(gateway: str, sequence: int, **changes: Any) -> WindowSummary:
    return make_window(sequence, gateway=gateway, first_segment=100 * (1 + GATEWAYS.index(gateway)), **changes)


def shard_of(windows: Sequence[WindowSummary]) -> list[dict[str, Any]]:
    return [
        record_of(encode_window(window), window.gateway, number, received_ms=window.window_end_ms + 2_000)
        for number, window in enumerate(windows)
    ]


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(GATEWAYS),
        st.sampled_from(["window"] * 5 + ["correction", "sensors", "rubbish", "forged", "future schema"]),
        st.sampled_from([CongestionState.FREE, CongestionState.CONGESTED]),
        st.integers(0, 100),
    ),
    min_size=1,
    max_size=40,
)
FAULTS = st.dictionaries(st.integers(1, 150), st.sampled_from(["throttle", "kill before", "kill after"]), max_size=12)


@dataclass
class Sent:
    """What gateways sent, in the order of the shard, and what of it must be found afterwards."""

    shard: list[dict[str, Any]] = field(default_factory=list)
    windows: dict[tuple[str, int, int], WindowSummary] = field(default_factory=dict)
    sensors: set[int] = field(default_factory=set)
    poison: set[str] = field(default_factory=set)
    readable: set[tuple[str, int, int]] = field(default_factory=set)
    refused: set[tuple[str, int, int]] = field(default_factory=set)
    last: dict[str, WindowSummary] = field(default_factory=dict)


def send(messages: Sequence[tuple[str, str, CongestionState, int]]) -> Sent:
    sent = Sent()
    sequences: Counter[str] = Counter()
    for gateway, what, state, level in messages:
        sequences[gateway] += 1
        _send_one(sent, gateway, what, window_of(gateway, sequences[gateway], state=state, level=level))
    for gateway in GATEWAYS:  # a live window of each at the end, by which states are current again
        sequences[gateway] += 1
        _send_one(sent, gateway, "window", window_of(gateway, sequences[gateway], level=50))
    return sent


def _send_one(sent: Sent, gateway: str, what: str, window: WindowSummary) -> None:
    number, received_ms = len(sent.shard), window.window_end_ms + 2_000
    kind, payload, as_gateway = "windows", encode_window(window), gateway
    identity = gateway, window.epoch_ms, window.sequence
    match what:
        case "window":
            sent.last[gateway] = window
        case "correction" if gateway in sent.last:
            first = sent.last[gateway]
            again = replace(window, window_start_ms=first.window_start_ms, revision=first.revision + 1)
            sent.last[gateway] = window = again
            payload = encode_window(window)
        case "sensors":
            summary = replace(make_sensors(window.sequence, gateway=gateway), interval_start_ms=window.window_start_ms)
            kind, payload = "sensors", encode_sensors(summary)
            sent.sensors.add(number)
        case "rubbish":
            payload = b"\xff" * 9
        case "forged":
            as_gateway = "gw-else"
        case "future schema":
            message = pb.WindowSummary.FromString(payload)
            message.schema = 2
            payload = message.SerializeToString()
        case _:
            sent.last[gateway] = window
    sent.shard.append(record_of(payload, as_gateway, number, kind=kind, received_ms=received_ms))
    if what in {"rubbish", "forged", "future schema"}:
        sent.poison.add(sent.shard[-1]["kinesis"]["data"])
        if what != "rubbish":
            sent.refused.add((as_gateway, *identity[1:]))
        return
    sent.readable.add(identity)
    if kind == "windows":
        key = gateway, window.window_start_ms, window.epoch_ms
        sent.windows[key] = max(sent.windows.get(key, window), window, key=lambda each: each.revision)


def check(cloud: Cloud, sent: Sent) -> None:
    assert cloud.windows == sent.windows
    assert len(cloud.sensors) == len(sent.sensors)
    assert set(cloud.parked) == sent.poison  # at least once
    assert set(cloud.lake) == sent.readable  # at least once
    assert cloud.stored_acks <= sent.readable
    assert cloud.refused_acks <= sent.refused
    for gateway, window in sent.last.items():
        for segment in window.segments:
            held = cloud.states[segment.number]
            assert held.gateway == gateway
            assert held.congestion_state == segment.congestion_state.name.lower()
            assert abs((held.congestion_level or 0) - (segment.congestion_level or 0)) < LEVEL_STEP


@settings(max_examples=80, deadline=None)
@given(MESSAGES, FAULTS, st.integers(1, 25))
def test_nothing_is_lost_or_doubled_whatever_fails_or_dies(
    messages: list[tuple[str, str, CongestionState, int]], faults: dict[int, str], batch_size: int
) -> None:
    sent, cloud = send(messages), Cloud()

    drain(cloud, sent.shard, faults, batch_size)

    check(cloud, sent)
    assert cloud.effective_writes == len({*cloud.windows}) + _corrections(cloud) + len(cloud.sensors)


def _corrections(cloud: Cloud) -> int:
    return sum(window.revision for window in cloud.windows.values())


@settings(max_examples=60, deadline=None)
@given(MESSAGES, st.data())
def test_order_and_repetition_of_whole_batches_change_no_window(
    messages: list[tuple[str, str, CongestionState, int]], data: st.DataObject
) -> None:
    sent, cloud = send(messages), Cloud()
    shuffled = data.draw(st.permutations(sent.shard * 2))

    drain(cloud, shuffled, {}, 10)
    drain(cloud, sent.shard[-len(GATEWAYS) :], {}, 10)

    assert cloud.windows == sent.windows
    assert len(cloud.sensors) == len(sent.sensors)
    assert cloud.stored_acks == sent.readable


def test_a_process_killed_at_any_call_of_a_batch_leaves_what_the_next_completes() -> None:
    kinds = ["window", "window", "correction", "sensors", "forged", "window"]
    messages = [(gateway, kind, CongestionState.CONGESTED, 60) for kind in kinds for gateway in GATEWAYS]
    sent = send(messages)
    undisturbed = Cloud()
    calls = drain(undisturbed, sent.shard, {}, 100).calls
    assert calls > len(sent.shard)

    killed = 0
    for call in range(1, calls + 1):
        for how in ("kill before", "kill after"):
            cloud = Cloud()
            weather = drain(cloud, sent.shard, {call: how}, 100)
            killed += weather.happened[how]
            check(cloud, sent)
            assert cloud.effective_writes == undisturbed.effective_writes
    assert killed == 2 * calls


def test_two_processors_on_one_shard_at_the_same_time_write_every_window_once() -> None:
    windows = [window_of(gateway, sequence, vehicles=2) for sequence in range(1, 60) for gateway in GATEWAYS]
    shard, cloud = shard_of(windows), Cloud()
    outcomes: list[Outcome] = []

    def work(batch_size: int) -> None:
        own = processor(cloud, Weather())
        total = Outcome()
        for start in range(0, len(shard), batch_size):
            total.add(own.process(list(shard[start : start + batch_size])))
        outcomes.append(total)

    threads = [threading.Thread(target=work, args=(size,)) for size in (20, 33)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 2
    assert sum(outcome.stored for outcome in outcomes) == len(windows)
    assert sum(outcome.stored + outcome.replayed for outcome in outcomes) >= 2 * len(windows)
    assert cloud.effective_writes == len(windows) == len(cloud.windows)


def test_a_week_again_changes_nothing_and_is_counted() -> None:
    ten_minutes_ms, week_ms = 600_000, 7 * 86_400_000
    windows = [
        replace(window_of(gateway, sequence, vehicles=1 + sequence % 3), window_start_ms=START_MS + start_ms)
        for sequence, start_ms in enumerate(range(0, week_ms, ten_minutes_ms), 1)
        for gateway in GATEWAYS[:2]
    ]
    shard, cloud = shard_of(windows), Cloud()
    drain(cloud, shard, {}, 200)
    before = dict(cloud.windows), dict(cloud.states), cloud.effective_writes

    again = processor(cloud, Weather())
    outcomes = [again.process(list(shard[start : start + 200])) for start in range(0, len(shard), 200)]

    assert (cloud.windows, cloud.states, cloud.effective_writes) == before
    assert len(cloud.windows) == len(windows) == 2 * 1008
    assert sum(outcome.replayed for outcome in outcomes) == len(windows)
    assert sum(outcome.stored for outcome in outcomes) == 0
    vehicles = sum(segment.vehicle_count for window in cloud.windows.values() for segment in window.segments)
    assert vehicles == sum(segment.vehicle_count for window in windows for segment in window.segments)
