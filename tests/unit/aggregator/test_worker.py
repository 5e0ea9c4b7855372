"""The worker between two waits, on a pipeline that works."""

from typing import Any

import msgspec
import pytest

from aggregator.pipeline import Pipeline
from aggregator.settings import AggregatorSettings
from aggregator.worker import (
    ACKS,
    COMMANDS,
    CONFIGURATION,
    CONNECTION_LOST,
    ECHO,
    ECHO_GIVE_UP_MS,
    READ_RETRY_MS,
    READINGS,
    REREAD_MS,
    UPDATE,
    AggregatorWorker,
)
from roadside.contract.codec import encode_ack
from roadside.contract.commands import ReportNowCommand, encode_command
from roadside.contract.status import Status, decode_status
from roadside.contract.summary import Ack
from roadside.core.health import SensorFault
from roadside.runtime.clock import ManualClock
from roadside.runtime.database import StoreError
from roadside.runtime.ports import BusClosedError, BusUnavailableError, Side
from roadside.runtime.service import Delivery, ExitCode, Inbox, Service
from roadside.runtime.status import StatusTeller
from roadside.runtime.store import GatewayStore
from roadside.runtime.updates import RECHECK_MS
from tests.unit.aggregator.rig import FRAMES, GATEWAY, START_MS, FakeCloud, Reading, frame, settings


class StoredConfiguration:
    """A configuration that can be changed, and that can be out of reach."""

    def __init__(self, configured: AggregatorSettings) -> None:
        self.tree: dict[str, Any] = msgspec.to_builtins(configured)
        self.reachable = True
        self.reads = 0

    def read(self) -> dict[str, Any]:
        self.reads += 1
        if not self.reachable:
            raise BusUnavailableError("the nucleus does not answer")
        return dict(self.tree)

    def on_change(self, notify: object) -> None:
        raise NotImplementedError


class Bench:
    def __init__(self, *, reachable: bool = True) -> None:
        self.clock = ManualClock(START_MS, 1000)
        self.configuration = StoredConfiguration(settings())
        self.configuration.reachable = reachable
        self.store = GatewayStore.open(None, START_MS)
        self.pipeline = Pipeline(GATEWAY, self.store, FakeCloud(), AggregatorSettings(), steady_ms=1000)
        self.statuses: list[Status] = []
        self.answers: list[tuple[str, int]] = []
        status = StatusTeller("city.roadside.Aggregator", self, self.clock)
        self.renewed: list[Side] = []
        self.worker = AggregatorWorker(self.pipeline, self.configuration, self, self.clock, status, self)
        self.worker.work([])

    def publish_local(self, topic: str, payload: bytes) -> None:
        """Stands for the bus on which the status is told."""
        assert topic == "roadside/v1/status/city.roadside.Aggregator"
        self.statuses.append(decode_status(payload))

    def renew(self, side: Side) -> None:
        """Stands for the bus whose subscriptions die."""
        self.renewed.append(side)

    def pass_time(self, by_ms: int, *, hears_itself: bool) -> None:
        """In steps of 10 s, as the status is told."""
        for _ in range(by_ms // 10_000):
            self.clock.advance(10_000)
            self.worker.work([Delivery(ECHO, "x", b"")] if hears_itself else [])

    def on_update(self, ask: object) -> None:
        raise NotImplementedError

    def answer_update(self, deployment_id: str, defer_ms: int) -> None:
        """Stands for the nucleus that asked."""
        self.answers.append((deployment_id, defer_ms))

    def reading(self) -> Delivery:
        return Delivery(READINGS, FRAMES, frame([Reading(10, self.clock.wall_ms())]))

    @property
    def accepted(self) -> int:
        return self.pipeline.statistics(self.clock.wall_ms()).readings_accepted

    @property
    def rate(self) -> int:
        return self.pipeline._uplink.settings.publishes_per_second


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_configuration_is_read_before_the_first_reading(bench: Bench) -> None:
    bench.worker.work([bench.reading()])
    assert bench.accepted == 1


def test_a_change_is_read_when_told_and_by_the_timer_when_not(bench: Bench) -> None:
    bench.configuration.tree["publishesPerSecond"] = "7"
    bench.worker.work([])
    assert bench.rate == 20
    bench.worker.work([Delivery(CONFIGURATION, "", b"")])
    assert bench.rate == 7
    bench.configuration.tree["publishesPerSecond"] = 8.0
    bench.clock.advance(REREAD_MS - 1)
    bench.worker.work([])
    assert bench.rate == 7
    bench.clock.advance(1)
    bench.worker.work([])
    assert bench.rate == 8


@pytest.mark.parametrize("fault", [{"windowSeconds": 0}, {"windowSecond": 5}, {"segments": "none"}])
def test_a_configuration_at_fault_changes_nothing(bench: Bench, fault: dict[str, Any]) -> None:
    bench.configuration.tree |= {"publishesPerSecond": 7} | fault
    bench.worker.work([Delivery(CONFIGURATION, "", b"")])
    assert bench.rate == 20
    bench.worker.work([bench.reading()])
    assert bench.accepted == 1


def test_segments_that_contradict_each_other_change_nothing(bench: Bench) -> None:
    bench.configuration.tree["publishesPerSecond"] = 7
    bench.configuration.tree["segments"] = 2 * bench.configuration.tree["segments"]
    bench.worker.work([Delivery(CONFIGURATION, "", b"")])
    assert bench.rate == 20


def test_a_nucleus_that_does_not_answer_is_asked_again_soon() -> None:
    bench = Bench(reachable=False)
    bench.worker.work([bench.reading()])
    assert bench.accepted == 0
    assert bench.worker.work([]) <= bench.clock.steady_ms() + READ_RETRY_MS
    assert bench.configuration.reads == 1
    bench.configuration.reachable = True
    bench.clock.advance(READ_RETRY_MS)
    bench.worker.work([])
    bench.worker.work([bench.reading()])
    assert bench.accepted == 1


def test_a_lost_connection_is_told_after_what_came_with_it_was_taken(bench: Bench) -> None:
    with pytest.raises(BusClosedError, match="the nucleus went"):
        bench.worker.work([Delivery(CONNECTION_LOST, "the nucleus went", b""), bench.reading()])
    assert bench.accepted == 1


@pytest.mark.parametrize("payload", [b"", b"\xff" * 500, b'{"command":"reboot"}', b"[" * 100_000])
def test_what_nobody_knows_does_no_harm(bench: Bench, payload: bytes) -> None:
    strange = [Delivery(source, "x", payload) for source in (COMMANDS, ACKS, READINGS)]
    bench.worker.work([*strange, bench.reading()])
    assert bench.accepted == 1


def test_an_acknowledgement_reaches_the_outbox(bench: Bench) -> None:
    bench.worker.work([bench.reading()])
    bench.clock.advance(13_000)
    bench.worker.work([bench.reading()])
    [header] = bench.store.outbox.headers()
    bench.worker.work([Delivery(ACKS, "x", encode_ack(Ack(START_MS, stored=(header.sequence,))))])
    assert bench.store.outbox.headers() == []


def test_an_update_goes_on_when_what_came_with_the_question_is_safe(bench: Bench) -> None:
    bench.worker.work([Delivery(UPDATE, "d-1", b""), bench.reading()])
    assert bench.answers == [("d-1", 0)]
    again = Pipeline(GATEWAY, bench.store, FakeCloud(), AggregatorSettings(), steady_ms=1000)
    assert again.statistics(START_MS).readings_accepted == 1


def test_an_update_is_put_off_while_the_disk_takes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("failed", "writing", "a test says so")

    bench.worker.work([bench.reading()])
    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "transaction", fail)
        bench.worker.work([Delivery(UPDATE, "d-1", b"")])
    bench.worker.work([Delivery(UPDATE, "d-1", b"")])
    assert bench.answers == [("d-1", RECHECK_MS), ("d-1", 0)]


def test_a_disk_that_fails_while_reporting_or_stopping_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("failed", "reading", "a test says so")

    monkeypatch.setattr(bench.store.outbox, "totals", fail)
    bench.clock.advance(REREAD_MS)
    bench.worker.work([])
    monkeypatch.setattr(bench.store, "transaction", fail)
    bench.worker.stop()


def test_readings_that_wait_when_the_service_ends_are_stored(bench: Bench) -> None:
    inbox = Inbox()
    service = Service(bench.worker, inbox, bench.clock)
    service.stop()
    inbox.put(bench.reading())
    assert service.run() is ExitCode.STOPPED
    renewed = Pipeline(GATEWAY, bench.store, FakeCloud(), settings(), steady_ms=1)
    assert renewed.statistics(START_MS).readings_accepted == 1


def test_local_subscriptions_are_renewed_when_it_does_not_hear_itself_and_in_the_end_it_ends(bench: Bench) -> None:
    bench.pass_time(60_000, hears_itself=True)
    assert bench.renewed == []
    bench.pass_time(60_000, hears_itself=False)
    assert bench.renewed == ["local"]
    bench.pass_time(60_000, hears_itself=True)
    assert bench.renewed == ["local"]
    with pytest.raises(BusClosedError, match="own status messages"):
        bench.pass_time(ECHO_GIVE_UP_MS + 10_000, hears_itself=False)
    assert 4 <= len(bench.renewed) <= 8


def test_cloud_subscriptions_are_renewed_when_nothing_is_acknowledged(bench: Bench) -> None:
    bench.worker.work([bench.reading()])
    bench.clock.advance(13_000)
    bench.worker.work([bench.reading()])
    bench.pass_time(180_000, hears_itself=True)
    assert bench.renewed == ["cloud"]
    bench.worker.work([Delivery(ACKS, "x", encode_ack(Ack(START_MS)))])
    bench.pass_time(110_000, hears_itself=True)
    assert bench.renewed == ["cloud"]


def test_a_gateway_that_has_nothing_to_send_expects_no_answer(bench: Bench) -> None:
    bench.pass_time(1_200_000, hears_itself=True)
    assert bench.renewed == []


def test_report_now_tells_the_status_at_once(bench: Bench) -> None:
    before = len(bench.statuses)
    bench.worker.work([Delivery(COMMANDS, "x", encode_command(ReportNowCommand("c-1")))])
    assert len(bench.statuses) == before + 1


def test_status_tells_every_ten_seconds_and_at_the_end_what_the_pipeline_counts(bench: Bench) -> None:
    assert [(status.state, status.counters["readings_accepted"]) for status in bench.statuses] == [("running", 0)]
    bench.worker.work([bench.reading()])
    bench.clock.advance(9_999)
    assert bench.worker.work([]) <= bench.clock.steady_ms() + 1
    assert len(bench.statuses) == 1
    bench.clock.advance(1)
    bench.worker.work([])
    bench.worker.stop()
    told = [(status.state, status.sequence, status.uptime_ms) for status in bench.statuses[1:]]
    assert told == [("running", 2, 10_000), ("stopping", 3, 10_000)]
    assert bench.statuses[-1].counters["readings_accepted"] == 1
    assert bench.statuses[-1].counters["uplink.backlog_messages"] == 0


def test_aggregator_without_segments_is_idle_and_one_whose_disk_fails_goes_on_telling() -> None:
    bench = Bench(reachable=False)
    assert bench.statuses[-1].state == "idle"
    bench.store.close()
    bench.clock.advance(10_000)
    with pytest.raises(StoreError):
        bench.pipeline.statistics(bench.clock.wall_ms())
    bench.worker._status.tell_if_due("running", bench.worker._statistics)
    assert bench.statuses[-1].counters == {}


def test_status_tells_the_sensors_that_are_not_believed_by_their_fault(bench: Bench) -> None:
    bench.pipeline._generations[-1].aggregator.health.arrays["fault"][:3] = (
        SensorFault.STUCK_ON,
        SensorFault.DEAD,
        SensorFault.DEAD,
    )
    bench.worker.stop()
    counters = bench.statuses[-1].counters
    faulty = {name: count for name, count in counters.items() if name.startswith("sensors_faulty")}
    assert faulty == {"sensors_faulty.stuck_on": 1, "sensors_faulty.dead": 2}
