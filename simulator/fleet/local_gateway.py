"""A gateway's pipeline in this process: everything but the process and the IPC."""

import queue
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aggregator.pipeline import Pipeline, PipelineStatistics
from aggregator.settings import AggregatorSettings
from aggregator.worker import ACKS_RENEW_MS
from roadside.contract import topics
from roadside.runtime.hearing import Hearing
from roadside.runtime.ports import Clock, Side
from roadside.runtime.settings import load_settings
from roadside.runtime.store import GatewayStore
from simulator.city.layout import GatewayPlan
from simulator.faults.clocks import SteppedClock
from simulator.faults.delivery import Readings
from simulator.fleet.feed import frame
from simulator.fleet.gateways import SOURCE, Books, GatewayError, RecentlyHanded
from simulator.fleet.link import LinkPublisher, MeteredLink

NEVER_MS: Final = 1 << 62
DARK_LOOK_MS: Final = 1000  # how often a gateway without power is looked at in vain


class LocalGateway:
    """A gateway's pipeline in this process, with everything but the process and the IPC.

    Its wall clock can be stepped off `clock`, the run's. With a file for its store it can also crash and lose power:
    the pipeline is dropped as it stands, and another one takes up what the file has.

    Attributes
    ----------
    lost : readings that were gone from the gateway's own books after its ends
    interruptions : how often it ended
    """

    def __init__(
        self,
        plan: GatewayPlan,
        configuration: dict[str, Any],
        link: MeteredLink,
        acks: "AckQueue",
        clock: Clock,
        store_path: Path | None = None,
    ) -> None:
        self.plan = plan
        self.link = link
        self.wake_ms = 0.0
        self.lag_ms = 0
        self.interruptions = 0
        self.lost: int | None = 0
        self._path = store_path
        self._boot = 0
        self._clock = SteppedClock(clock)
        self._settings = load_settings(AggregatorSettings, configuration)
        self._publisher = LinkPublisher(link, self._clock.steady_ms)
        self._recent = RecentlyHanded(self._clock.steady_ms)
        self._unreadable = 0  # of pipelines that have ended
        self._hearing = Hearing("acknowledgements", "cloud", ACKS_RENEW_MS, NEVER_MS)  # no process that could end
        self._pipeline: Pipeline | None = None  # None without power
        self._open()
        link.subscribe(topics.acks(plan.gateway_id), lambda _topic, payload: acks.put((self, payload)))

    def deliver(self, readings: Readings) -> None:
        """Hand over what arrived, then let the pipeline work."""
        if self._path is not None:
            self._recent.note(readings)
        self._running().receive(
            topics.frames(SOURCE), frame(readings, SOURCE), self._clock.wall_ms(), self._clock.steady_ms()
        )
        self.tick()

    def poison(self, topic: str, payload: bytes) -> bool:
        """Hand over a message that is none; whether anybody was there to take it."""
        if self._pipeline is None:
            return False
        self._pipeline.receive(topic, payload, self._clock.wall_ms(), self._clock.steady_ms())
        return True

    @property
    def gateway_id(self) -> str:
        return self.plan.gateway_id

    @property
    def stored_starts_ms(self) -> Collection[int]:
        """Starts of the windows that the cloud has acknowledged."""
        return self.link.acknowledged_starts_ms

    def on_ack(self, payload: bytes) -> None:
        if self._pipeline is not None:
            self._pipeline.on_ack(payload, self._clock.wall_ms())

    def tick(self) -> None:
        if self._pipeline is None:
            self.wake_ms = self._clock.steady_ms() + DARK_LOOK_MS
            return
        wake_ms = self._pipeline.tick(self._clock.wall_ms(), self._clock.steady_ms())
        if self._hearing.look(self._pipeline.silent_ms(self._clock.steady_ms()), self):
            self._pipeline.try_way(self._clock.wall_ms())
        self.wake_ms = min(wake_ms, self._publisher.pump())

    def renew(self, _side: Side) -> None:
        """Make the subscriptions anew, as a component does that hears nothing. For its `Hearing`."""
        self.link.renew()

    def step_clock(self, offset_ms: int) -> None:
        """Set the gateway's wall clock to `offset_ms` off the machine's."""
        self._clock.offset_ms = offset_ms

    def throttle(self, delay_ms: float | None) -> None:
        """Have publishes refused (0) or each taken so much later; None ends it."""
        self._publisher.delay_ms = delay_ms

    def crash(self) -> int:
        """End as by SIGKILL and begin anew from the file; how many readings were at risk."""
        if self._pipeline is None:
            return 0
        at_risk = self.power_off()
        self._boot -= 1  # the machine goes on, and with it the steady clock
        self.power_on()
        return at_risk

    def power_off(self) -> int:
        """End at once, and for now; how many readings were at risk."""
        pipeline = self._running()
        at_risk = self._recent.put_at_risk(self.lag_ms)
        self._before = self.books()
        self._unreadable += sum(pipeline.intake.refused.values()) - self._replayed
        self._store.close()  # which writes nothing: transactions are whole or not begun
        self._pipeline = None
        self.interruptions += 1
        return at_risk

    def power_on(self) -> None:
        """Begin with what the file has."""
        self._open()
        self.lost = (self.lost or 0) + self._before.readings - self.books().readings

    @property
    def was_interrupted(self) -> bool:
        return self.interruptions > 0

    @property
    def unreadable(self) -> int:
        """Messages, or readings in them, that could not be read."""
        return self._unreadable + sum(self._running().intake.refused.values()) - self._replayed

    def at_risk(self) -> list[Readings]:
        """Readings handed over in the second before an end."""
        return self._recent.at_risk()

    def books(self) -> Books:
        return replace(Books.of(self.statistics()), lost_in_ends=self.lost)

    def statistics(self) -> PipelineStatistics:
        return self._running().statistics(self._clock.wall_ms())

    def _open(self) -> None:
        self._boot += 1
        self._store = GatewayStore.open(self._path, self._clock.wall_ms())
        self._pipeline = Pipeline(
            self.plan.gateway_id,
            self._store,
            self._publisher,
            self._settings,
            steady_ms=self._clock.steady_ms(),
            boot_id=f"{self.plan.gateway_id}-{self._boot}",
        )
        self._replayed = sum(self._pipeline.intake.refused.values())  # from the journal: counted before
        self.wake_ms = 0

    def _running(self) -> Pipeline:
        if self._pipeline is None:
            raise GatewayError(f"{self.plan.gateway_id} has no power: nothing can be asked of it")
        return self._pipeline


AckQueue = queue.SimpleQueue[tuple[LocalGateway, bytes]]
