"""A gateway in a process of its own, made to be killed: it tells what it does over a pipe, which outlives it.

Event time is its own: a step is a quarter of a second, as fast as the disk allows. What it tells of a step depends on
the step's number alone.
"""

from multiprocessing.connection import Connection
from pathlib import Path

from aggregator.pipeline import Pipeline
from aggregator.settings import AggregatorSettings
from roadside.contract import topics
from roadside.contract.codec import decode_window, encode_ack
from roadside.contract.events import decode_event
from roadside.contract.summary import Ack
from roadside.runtime.store import GatewayStore
from tests.unit.aggregator.rig import FRAMES, GATEWAY, START_MS, Reading, frame, settings

STEP_MS = 250
SENSORS = (10, 11, 20, 21)
LATE_MS = 12_000

TOLD = b"t"  # and the number of the step, before its readings are told
MESSAGE = b"m"  # and topic, space, payload: what the cloud has got
RESTORED = b"r"  # and how many readings are accepted, after the start


def readings_of(step: int) -> list[Reading]:
    """One sensor a step, so each once a second; now and then a repetition, and a reading of long ago."""
    at_ms = START_MS + STEP_MS * step
    readings = [Reading(SENSORS[step % 4], at_ms)]
    if step % 7 == 0 and step:
        readings.append(Reading(SENSORS[(step - 1) % 4], at_ms - STEP_MS))
    if step % 23 == 0 and at_ms - LATE_MS > START_MS:
        readings.append(Reading(SENSORS[step % 4], at_ms - LATE_MS - 1))
    return readings


class Cloud:
    """Has what it was sent as soon as it is in the pipe, and acknowledges at the next step."""

    def __init__(self, pipe: Connection) -> None:
        self.acks: list[bytes] = []
        self._pipe = pipe

    def publish_cloud(self, topic: str, payload: bytes) -> None:
        self._pipe.send_bytes(MESSAGE + topic.encode() + b" " + payload)
        sent = decode_window(payload) if topic == topics.uplink("windows", GATEWAY) else decode_event(payload)
        self.acks.append(encode_ack(Ack(sent.epoch_ms, stored=(sent.sequence,))))


def run(path: Path, pipe: Connection, first_step: int, last_step: int | None) -> None:
    """Go on where the process before was killed; for ever, or to the last step and then until all is sent."""
    cloud = Cloud(pipe)
    wall_ms = START_MS + STEP_MS * first_step
    store = GatewayStore.open(path, wall_ms)
    configured = settings(window_seconds=2, correction_seconds=60, publishes_per_second=90)
    pipeline = Pipeline(GATEWAY, store, cloud, AggregatorSettings(), steady_ms=STEP_MS * first_step)
    pipeline.apply(configured)
    pipe.send_bytes(RESTORED + str(pipeline.statistics(wall_ms).readings_accepted).encode())
    step = first_step
    import sys

    print(pipeline.statistics(wall_ms), len(store.journal.records()), file=sys.stderr, flush=True)

    def work() -> None:
        wall_ms, steady_ms = START_MS + STEP_MS * step, STEP_MS * step
        acks, cloud.acks = cloud.acks, []
        for ack in acks:
            pipeline.on_ack(ack, wall_ms)
        pipeline.tick(wall_ms, steady_ms)

    while last_step is None or step <= last_step:
        pipe.send_bytes(TOLD + str(step).encode())
        pipeline.receive(FRAMES, frame(readings_of(step)), START_MS + STEP_MS * step, STEP_MS * step)
        work()
        step += 1
    pipeline.drain(START_MS + STEP_MS * step)
    while store.outbox.headers():
        work()
        step += 1
    store.close()
