"""A gateway of this process, and what it can suffer: crashes, power cuts, throttling and poison."""

from __future__ import annotations

import queue
from pathlib import Path

import numpy as np
import pytest

from aggregator.intake import Intake
from aggregator.settings import AggregatorSettings
from roadside.core.registry import Registry
from roadside.runtime.clock import ManualClock
from roadside.runtime.settings import load_settings
from simulator.city.layout import make_city
from simulator.faults.delivery import Readings
from simulator.faults.poison import poison
from simulator.fleet.gateways import GatewayError
from simulator.fleet.link import Meter, MeteredLink
from simulator.fleet.local_gateway import AckQueue, LocalGateway
from simulator.run.memory_target import MemoryTarget

START_MS = 1_700_000_000_000
PLAN = make_city(40, 2, 1).gateways[1]
CONFIGURATION = {"segments": PLAN.registry_configuration(), "sensorSummarySeconds": 0}


class Site:
    """One gateway on a clock that the test moves, and a cloud that answers at once."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START_MS, 1000)
        self.cloud = MemoryTarget(self.clock.wall_ms)
        self.acks: AckQueue = queue.SimpleQueue()
        link = MeteredLink(self.cloud.connect(PLAN.gateway_id), PLAN.gateway_id, Meter())
        self.gateway = LocalGateway(PLAN, CONFIGURATION, link, self.acks, self.clock, folder / "gateway.sqlite")

    def readings(self) -> Readings:
        """One of each sensor, of now."""
        sensor = np.arange(PLAN.first_sensor_number, PLAN.first_sensor_number + PLAN.sensor_count)
        ones = np.ones(len(sensor), dtype=np.int64)
        return Readings(sensor, self.clock.wall_ms() * ones, ones, 800 * ones, 100 * ones)

    def measure(self, seconds: int) -> None:
        for _ in range(seconds):
            self.gateway.deliver(self.readings())
            self.pass_time(1000)

    def pass_time(self, ms: int) -> None:
        for _ in range(ms // 100):
            self.clock.advance(100)
            while not self.acks.empty():
                gateway, payload = self.acks.get_nowait()
                gateway.on_ack(payload)
            if self.gateway.wake_ms <= self.clock.steady_ms():
                self.gateway.tick()

    def stored(self) -> int:
        """Readings in the windows that the cloud has."""
        return sum(
            segment.readings_accepted
            for epochs in self.cloud.windows().values()
            for window in epochs
            for segment in window.segments
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_crash_costs_what_came_since_the_last_journal_and_the_books_say_how_much(site: Site) -> None:
    site.measure(14)
    before = site.gateway.books()
    assert before.readings == before.accepted == 14 * PLAN.sensor_count
    site.gateway.deliver(site.readings())  # in no journal yet
    at_risk = site.gateway.crash()
    assert site.gateway.lost == PLAN.sensor_count
    assert site.gateway.books().readings == before.readings
    assert at_risk >= site.gateway.lost
    assert sum(len(readings) for readings in site.gateway.at_risk()) == at_risk
    site.clock.advance(1000)
    site.measure(10)
    assert site.gateway.books().accepted == 24 * PLAN.sensor_count
    assert site.gateway.books().lost_in_ends == PLAN.sensor_count
    assert site.stored() == 20 * PLAN.sensor_count - PLAN.sensor_count, "two windows, of which one misses a second"


def test_a_crash_after_the_journal_was_written_costs_nothing(site: Site) -> None:
    site.measure(5)
    site.gateway.crash()
    assert site.gateway.lost == 0
    assert site.gateway.books().accepted == 5 * PLAN.sensor_count


def test_a_gateway_without_power_takes_nothing_and_comes_back_with_what_it_had(site: Site) -> None:
    site.measure(5)
    site.gateway.power_off()
    assert not site.gateway.poison(*poison(0))
    assert site.gateway.crash() == 0, "it is dark already"
    with pytest.raises(GatewayError, match="has no power"):
        site.gateway.deliver(site.readings())
    site.pass_time(4000)
    site.gateway.power_on()
    site.measure(14)
    assert site.gateway.interruptions == 1
    assert (site.gateway.lost, site.gateway.books().accepted) == (0, 19 * PLAN.sensor_count)
    [epoch_ms] = {window.epoch_ms for epochs in site.cloud.windows().values() for window in epochs}
    assert epoch_ms == START_MS


def test_a_throttled_gateway_sends_later_or_nothing_and_all_of_it_in_the_end(site: Site) -> None:
    site.gateway.throttle(3000)
    site.measure(14)  # the first window closes after 12 s
    assert site.stored() == 0
    site.measure(3)
    assert site.stored() == 10 * PLAN.sensor_count
    site.gateway.throttle(0)
    site.measure(10)
    assert site.stored() == 10 * PLAN.sensor_count
    site.gateway.throttle(None)
    site.measure(10)
    assert site.stored() == 30 * PLAN.sensor_count


def test_a_gateway_that_hears_nothing_subscribes_anew_as_a_component_does(site: Site) -> None:
    connection = site.cloud.connect(PLAN.gateway_id)
    connection._handlers.clear()  # type: ignore[attr-defined]  # the broker forgets without a word
    site.measure(60)
    assert site.gateway.statistics().uplink.acknowledged == 0
    site.measure(120)
    assert site.gateway.statistics().uplink.acknowledged > 10


def test_every_sort_of_poison_is_refused_once_and_counted_once_whatever_happens_then(site: Site) -> None:
    settings = load_settings(AggregatorSettings, CONFIGURATION)
    registry = settings.registry()
    assert isinstance(registry, Registry)
    site.measure(2)
    for number in range(10):
        intake = Intake()
        batch = intake.decode(*poison(number), registry)
        assert batch is None or not len(batch)
        assert sum(intake.refused.values()) == 1
        assert site.gateway.poison(*poison(number))
    assert site.gateway.unreadable == 10
    site.pass_time(1000)  # the journal has the messages now, and a new pipeline reads them again
    site.gateway.crash()
    assert site.gateway.unreadable == 10
    assert site.gateway.books().accepted == 2 * PLAN.sensor_count
