"""Emulates while its time lasts, and not a second longer, whatever restarts."""

import logging
from pathlib import Path
from typing import Any

import pytest

from roadside.contract.codec import decode_frame
from roadside.contract.status import Status, decode_status
from roadside.contract.summary import ReadingFrame
from roadside.runtime.clock import ManualClock
from roadside.runtime.ports import BusClosedError, BusUnavailableError
from roadside.runtime.service import Delivery
from roadside.runtime.settings import SettingsError, load_settings
from roadside.runtime.status import StatusTeller
from sensor_emulator.period import Period
from sensor_emulator.settings import EmulatorSettings
from sensor_emulator.worker import CONFIGURATION, CONNECTION_LOST, MAX_BEHIND_S, EmulatorWorker
from tests.unit.sensor_emulator.world import segment, settings, tree

NOW_MS = 1_790_000_000_000
COMPONENT = "city.roadside.SensorEmulator"


class Nucleus:
    """Implements LocalPublisher and Configuration."""

    def __init__(self, configured: EmulatorSettings) -> None:
        self.tree = tree(configured)
        self.error: Exception | None = None
        self.frames: list[ReadingFrame] = []
        self.statuses: list[Status] = []

    def publish_local(self, topic: str, payload: bytes) -> None:
        if topic.endswith(COMPONENT):
            self.statuses.append(decode_status(payload))
            return
        assert topic == "roadside/v1/frames/emulator"
        if self.error is not None:
            raise self.error
        self.frames.append(decode_frame(payload))

    def read(self) -> dict[str, Any]:
        return self.tree

    def on_change(self, notify: object) -> None:
        raise NotImplementedError


class Bench:
    """A gateway on which the component can be started again."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.directory = directory
        self.clock = ManualClock(NOW_MS, 5_000)
        self.nucleus = Nucleus(settings(segment(1), minutes=1, **changes))
        self.start()

    def start(self) -> None:
        status = StatusTeller(COMPONENT, self.nucleus, self.clock)
        period = Period(self.directory)
        self.worker = EmulatorWorker(self.nucleus, self.nucleus, period, self.clock, status)
        self.worker.work([])

    def configure(self, **changes: Any) -> None:
        self.nucleus.tree |= changes
        self.worker.work([Delivery(CONFIGURATION, "", b"")])

    def run(self, seconds: int) -> int:
        """Readings handed over in that time."""
        before = self.readings
        for _ in range(seconds):
            self.clock.advance(1_000)
            self.worker.work([])
        return self.readings - before

    @property
    def readings(self) -> int:
        return sum(len(frame) for frame in self.nucleus.frames)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_faults_of_the_configuration_are_told_at_once() -> None:
    faulty = {
        "segments": [tree(settings(segment(1)))["segments"][0]],
        "faults": [{"sensor": "nobody", "fault": "dead"}, *[{"sensor": "s100", "fault": "chatter"}] * 2],
        "incidents": [{"segment": "elsewhere"}, {"segment": "seg-1", "lanesBlocked": 3}],
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(EmulatorSettings, faulty)
    for told in ("'nobody'", "'s100' has 2", "'elsewhere'", "'seg-1' has only 2 lanes"):
        assert told in str(caught.value)


def test_readings_come_each_second_until_the_run_is_over_and_all_say_that_they_are_false(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert bench.run(50) == 50 * 4
    assert bench.nucleus.statuses[-1].state == "running"
    assert bench.run(60) in (9 * 4, 10 * 4)
    assert bench.nucleus.statuses[-1].state == "idle"
    assert "the emulation is over" in caplog.text
    assert bench.worker.work([]) - bench.clock.steady_ms() > 1_000, "it has nothing more to do"


def test_restart_does_not_lengthen_a_run_and_another_name_begins_another(bench: Bench, tmp_path: Path) -> None:
    bench.run(30)
    bench.start()
    assert bench.run(60) <= 30 * 4
    bench.start()
    assert bench.run(5) == 0
    bench.configure(run="2")
    assert bench.run(5) == 5 * 4
    bench.configure(run="1")
    assert bench.run(5) == 5 * 4, "only the last run is remembered"


def test_clock_that_is_set_back_makes_no_run_longer_than_it_may_be(bench: Bench) -> None:
    bench.run(10)
    bench.clock.step_wall(-3_600_000)
    bench.start()
    assert bench.run(120) <= 60 * 4


@pytest.mark.parametrize("noted", [b"{", b"[]", b'{"1": "soon"}'])
def test_note_that_cannot_be_read_ends_the_run(tmp_path: Path, noted: bytes) -> None:
    (tmp_path / "run.json").write_bytes(noted)
    assert Bench(tmp_path).run(5) == 0


def test_nothing_is_emulated_where_the_beginning_cannot_be_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "absent")
    assert bench.run(5) == 0
    (tmp_path / "absent").mkdir()
    bench.configure()
    assert bench.run(5) == 5 * 4


def test_changes_apply_at_once_and_faulty_ones_not_at_all(bench: Bench) -> None:
    bench.configure(faults=[{"sensor": "s100", "fault": "silent"}])
    assert bench.run(5) == 5 * 3
    bench.configure(faults=[{"sensor": "nobody", "fault": "silent"}])
    assert bench.run(5) == 5 * 3
    bench.configure(segments=[], faults=[])
    assert bench.run(5) == 0


def test_standstill_is_made_up_for_a_few_seconds_only_and_a_clock_step_floods_nobody(bench: Bench) -> None:
    bench.run(1)
    before = bench.readings
    bench.clock.advance(MAX_BEHIND_S * 1_000)
    bench.worker.work([])
    assert bench.readings - before == MAX_BEHIND_S * 4
    before = bench.readings
    bench.clock.step_wall(20_000)
    bench.worker.work([])
    assert bench.readings == before
    assert bench.run(2) == 2 * 4
    bench.worker.stop()
    assert bench.nucleus.statuses[-1].counters["seconds_left_out"] >= 20


def test_frame_that_the_nucleus_does_not_take_is_lost_and_counted(bench: Bench) -> None:
    bench.nucleus.error = BusUnavailableError("busy")
    assert bench.run(2) == 0
    bench.nucleus.error = None
    assert bench.run(2) == 2 * 4
    bench.worker.stop()
    assert bench.nucleus.statuses[-1].state == "stopping"
    assert bench.nucleus.statuses[-1].counters["readings_lost"] == 2 * 4


def test_lost_connection_ends_it(bench: Bench) -> None:
    with pytest.raises(BusClosedError):
        bench.worker.work([Delivery(CONNECTION_LOST, "gone", b"")])
