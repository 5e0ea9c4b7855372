import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from roadside.runtime import service as service_module
from roadside.runtime.clock import SystemClock
from roadside.runtime.ports import BusClosedError
from roadside.runtime.service import Delivery, ExitCode, Inbox, Service


def test_messages_come_out_in_the_order_of_their_source() -> None:
    inbox = Inbox()
    readings, acks = inbox.handler("readings"), inbox.handler("acks")
    readings("r", b"1")
    acks("a", b"2")
    readings("r", b"3")
    taken = inbox.take(0)
    assert [delivery for delivery in taken if delivery.source == "readings"] == [
        Delivery("readings", "r", b"1"),
        Delivery("readings", "r", b"3"),
    ]
    assert Delivery("acks", "a", b"2") in taken
    assert inbox.take(0) == []


def test_a_full_inbox_sheds_the_oldest_of_the_bulkiest_source_and_counts() -> None:
    inbox = Inbox(max_bytes=10 * 300)
    inbox.handler("acks")("a", bytes(100))
    for number in range(20):
        inbox.handler("readings")("r", b"%d" % number + bytes(99 if number < 10 else 98))
    taken = inbox.take(0)
    assert [delivery.source for delivery in taken] == ["acks"] + ["readings"] * 9
    assert taken[-1].payload.startswith(b"19")
    assert inbox.shed() == {"readings": 11}
    inbox.handler("readings")("r", b"after")
    assert len(inbox.take(0)) == 1


def test_a_message_larger_than_the_inbox_is_shed_itself() -> None:
    inbox = Inbox(max_bytes=1000)
    inbox.handler("readings")("r", bytes(2000))
    assert inbox.take(0) == []
    assert inbox.shed() == {"readings": 1}


def test_taking_waits_for_a_message_from_another_thread() -> None:
    inbox = Inbox()
    begun = time.monotonic()
    thread = threading.Thread(target=inbox.handler("readings"), args=("r", b"1"))
    thread.start()
    assert len(inbox.take(10)) == 1
    assert time.monotonic() - begun < 5
    thread.join()


def test_no_message_is_lost_or_repeated_between_many_threads() -> None:
    inbox = Inbox()

    def send(source: str) -> None:
        for number in range(2000):
            inbox.handler(source)("t", b"%d" % number)

    threads = [threading.Thread(target=send, args=(str(name),)) for name in range(4)]
    for thread in threads:
        thread.start()
    taken: list[Delivery] = []
    deadline = time.monotonic() + 20
    while len(taken) < 8000 and time.monotonic() < deadline:
        taken += inbox.take(1)
    for name in range(4):
        payloads = [int(delivery.payload) for delivery in taken if delivery.source == str(name)]
        assert payloads == list(range(2000))


class Worker:
    """Does what the test says; remembers the rest."""

    def __init__(self, work: Callable[[list[Delivery]], int], stop: Callable[[], object] = lambda: None) -> None:
        self._work, self._stop = work, stop
        self.stops = 0

    def work(self, deliveries: list[Delivery]) -> int:
        return self._work(deliveries)

    def stop(self) -> None:
        self.stops += 1
        self._stop()


def run(worker: Worker, arrange: Callable[[Service, Inbox], None] | None = None) -> ExitCode:
    """Run in a thread, as signals are not the matter."""
    inbox = Inbox()
    service = Service(worker, inbox, SystemClock())
    codes: list[ExitCode] = []
    thread = threading.Thread(target=lambda: codes.append(service.run()))
    thread.start()
    if arrange:
        arrange(service, inbox)
    thread.join(20)
    assert codes, "the service did not end"
    return codes[0]


def far() -> int:
    return SystemClock().steady_ms() + 3_600_000


def test_the_worker_gets_messages_and_is_stopped_once() -> None:
    seen: list[Delivery] = []
    arrived = threading.Event()

    def work(deliveries: list[Delivery]) -> int:
        seen.extend(deliveries)
        if seen:
            arrived.set()
        return far()

    def arrange(service: Service, inbox: Inbox) -> None:
        inbox.handler("readings")("r", b"1")
        assert arrived.wait(10)
        service.stop()

    worker = Worker(work)
    assert run(worker, arrange) is ExitCode.STOPPED
    assert seen == [Delivery("readings", "r", b"1")]
    assert worker.stops == 1


def test_the_worker_is_called_when_it_asked_to_be() -> None:
    calls: list[int] = []
    clock = SystemClock()

    def work(deliveries: list[Delivery]) -> int:
        calls.append(clock.steady_ms())
        if len(calls) == 3:
            raise BusClosedError("enough")
        return calls[-1] + 50

    assert run(Worker(work)) is ExitCode.CONNECTION_LOST
    assert all(50 <= later - earlier < 5000 for earlier, later in pairwise(calls))


def test_a_lost_connection_ends_the_service_and_still_stops_the_worker() -> None:
    def work(deliveries: list[Delivery]) -> int:
        if deliveries:
            raise BusClosedError(deliveries[0].topic)
        return far()

    worker = Worker(work)
    code = run(worker, lambda _, inbox: inbox.put(Delivery("connection", "socket closed", b"")))
    assert (code, worker.stops) == (ExitCode.CONNECTION_LOST, 1)


def test_a_failing_worker_is_still_stopped_and_told_by_the_exit_code(caplog: pytest.LogCaptureFixture) -> None:
    def work(deliveries: list[Delivery]) -> int:
        raise KeyError("mine")

    def stop() -> None:
        raise KeyError("mine too")

    worker = Worker(work, stop)
    assert run(worker) is ExitCode.FAILED
    assert worker.stops == 1
    assert [record.message for record in caplog.records] == ["the worker failed", "the worker failed while stopping"]


def test_a_stop_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "STOP_BUDGET_S", 0.05)
    cut_off = threading.Event()
    codes: list[int] = []

    def exit_now(code: int) -> None:
        codes.append(code)
        cut_off.set()

    worker = Worker(lambda _: far(), stop=lambda: cut_off.wait(10))
    service = Service(worker, Inbox(), SystemClock(), exit_now=exit_now)
    service.stop()
    service.run()
    assert codes == [ExitCode.STOP_TOOK_TOO_LONG]


PROGRAM = textwrap.dedent(
    f"""
    import sys, time
    sys.path[:0] = {sys.path!r}
    from roadside.runtime.clock import SystemClock
    from roadside.runtime.service import Inbox, Service

    class Worker:
        def work(self, deliveries):
            print("working", flush=True)
            if "stuck" in sys.argv:
                time.sleep(60)
            return SystemClock().steady_ms() + 3_600_000
        def stop(self):
            print("stopped", flush=True)

    sys.exit(Service(Worker(), Inbox(), SystemClock()).run())
    """
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_process_in_order(number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    begun = time.monotonic()
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert output.splitlines()[-1] == "stopped"
    assert output.count("stopped") == 1
    assert time.monotonic() - begun < 3


def test_a_worker_that_is_stuck_does_not_outlive_the_budget() -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "stuck"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    begun = time.monotonic()
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == ExitCode.STOP_TOOK_TOO_LONG
    assert 2.5 < time.monotonic() - begun < 5
