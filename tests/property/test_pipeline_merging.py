"""Nothing lost, nothing counted twice, while windows merge: the way to the cloud opens, closes and refuses, processes
are killed and the disk is full, on a gateway that is always under pressure."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from roadside.contract import topics
from roadside.contract.codec import decode_window
from roadside.contract.commands import ReviveDeadLettersCommand, encode_command
from roadside.runtime.outbox import OutboxLimits
from roadside.runtime.ports import BusRefusedError, BusUnavailableError
from tests.property.test_pipeline import SENSORS, Story
from tests.unit.aggregator.rig import GATEWAY, FakeCloud, Gateway, Weather, check_windows
from tests.unit.aggregator.rig import settings as aggregator_settings

PRESSED = OutboxLimits(pressed_share=0.0)
CORRECTION_S = 100  # more than any reading here is late

weathers = st.builds(
    Weather, loss=st.just(0.0), repetition=st.sampled_from([0.0, 0.5]), max_delay_ms=st.sampled_from([0, 2000, 60_000])
)
configurations = st.builds(
    aggregator_settings,
    st.sampled_from(["plain", "added"]),
    window_seconds=st.sampled_from([10, 15, 60]),
    correction_seconds=st.just(CORRECTION_S),
)
readings = st.lists(
    st.tuples(st.sampled_from(SENSORS[:4]), st.sampled_from([0, 0, 1, 3, 30, 100])), min_size=1, max_size=6
)
steps = st.one_of(
    st.tuples(st.just("readings"), readings),
    st.tuples(st.just("drive"), st.sampled_from([60, 250])),
    st.tuples(st.just("drive"), st.sampled_from([60, 250])),
    st.tuples(st.just("way"), st.sampled_from(["open", "unavailable", "silent", "silent", "refusing"])),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("apply"), configurations),
    st.tuples(st.just("disk"), st.booleans()),
)


class WatchfulCloud(FakeCloud):
    """Sees that a window was offered on the disk before it came; takes messages and loses them while `silent`."""

    gateway: Gateway
    silent = refusing = False

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        if topic == topics.uplink("windows", GATEWAY):
            sequence = decode_window(payload).sequence
            [[offered]] = self.gateway.store._database.query(
                "SELECT offered FROM outbox WHERE sequence = ?", (sequence,)
            )
            assert offered, "a crash now would let it merge, though it may have arrived"
        if not self.reachable:
            raise BusUnavailableError
        if self.refusing:
            raise BusRefusedError("no rights")
        if not self.silent:
            super().publish_cloud(topic, payload)


class Outages(Story):
    def drive(self, seconds: int) -> None:
        for second in range(0, seconds, 7):
            self.readings([(SENSORS[second % 4], 0)])
            self.time(7000)

    def way(self, how: str) -> None:
        cloud = self.gateway.cloud
        assert isinstance(cloud, WatchfulCloud)
        cloud.reachable, cloud.silent, cloud.refusing = how != "unavailable", how == "silent", how == "refusing"


def run(weather: Weather, story_steps: list[tuple[str, Any]], seed: int) -> Gateway:
    cloud = WatchfulCloud(weather, Random(seed))  # noqa: S311
    gateway = Gateway(aggregator_settings(correction_seconds=CORRECTION_S), cloud, limits=PRESSED)
    cloud.gateway = gateway
    story = Outages(gateway, offers_again=False)
    for step in story_steps:
        story.run(step)
    gateway.empty_disk()
    story.way("open")
    gateway.pipeline.on_command(encode_command(ReviveDeadLettersCommand("the rights are granted")), gateway.clock_ms)
    gateway.finish_windows()
    check_windows(cloud.windows(), story.certain, story.perhaps, may_be_merged=True)
    statistics = gateway.pipeline.statistics(gateway.wall_ms)
    assert statistics.results_shed == 0
    assert statistics.uplink.given_up == 0
    return gateway


@settings(max_examples=25)
@given(weather=weathers, story_steps=st.lists(steps, min_size=2, max_size=12), seed=st.integers(0, 2**32))
def test_every_reading_is_in_one_window_however_windows_merge(
    weather: Weather, story_steps: list[tuple[str, Any]], seed: int
) -> None:
    run(weather, story_steps, seed)


def test_the_story_does_merge_windows() -> None:
    """Or the test above would prove nothing."""
    steps = [("drive", 60), ("way", "silent"), ("drive", 400), ("crash", None), ("drive", 400), ("way", "open")]
    gateway = run(Weather(), [*steps, ("drive", 200)], 1)
    assert gateway.pipeline.statistics(gateway.wall_ms).uplink.merged > 20
    assert {window.window_ms for window in gateway.cloud.windows()} >= {10_000, 60_000}
