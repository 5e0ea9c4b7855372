"""Composition root of city.roadside.Aggregator: the only file that knows the real bus, disk and clock at once."""

import argparse
import logging
import os
import sys
from pathlib import Path

from aggregator.pipeline import Pipeline
from aggregator.settings import AggregatorSettings
from aggregator.worker import ACKS, COMMANDS, CONFIGURATION, CONNECTION_LOST, ECHO, READINGS, UPDATE, AggregatorWorker
from roadside.contract import topics
from roadside.contract.errors import InvalidTopicError
from roadside.core.errors import SnapshotError
from roadside.runtime.clock import SystemClock
from roadside.runtime.database import StoreError
from roadside.runtime.greengrass import connect_greengrass
from roadside.runtime.logs import configure_logging
from roadside.runtime.ports import BusError
from roadside.runtime.service import Delivery, ExitCode, Inbox, Service
from roadside.runtime.status import StatusTeller
from roadside.runtime.store import GatewayStore, set_aside
from roadside.runtime.uplink import Publisher

COMPONENT = "city.roadside.Aggregator"
DATABASE = "gateway.sqlite"
THING_VARIABLE = "AWS_IOT_THING_NAME"

_log = logging.getLogger(__name__)


def main() -> int:
    """Run until told to stop; returns the exit code."""
    arguments = _arguments()
    configure_logging(COMPONENT)
    gateway = os.environ.get(THING_VARIABLE, "")
    if not gateway:
        _log.error("%s is not set: a nucleus must start this process", THING_VARIABLE)
        return ExitCode.FAILED
    clock = SystemClock()
    inbox = Inbox()
    try:
        bus = connect_greengrass(lambda reason: inbox.put(Delivery(CONNECTION_LOST, reason, b"")))
        pipeline = _pipeline(gateway, arguments.state_dir / DATABASE, bus, clock)
        worker = AggregatorWorker(pipeline, bus, bus, clock, StatusTeller(COMPONENT, bus, clock, inbox.shed), bus)
        service = Service(worker, inbox, clock)
        bus.subscribe_cloud(topics.acks(gateway), inbox.handler(ACKS))
        bus.subscribe_cloud(topics.commands(gateway), inbox.handler(COMMANDS))
        bus.subscribe_local(topics.status(COMPONENT), inbox.handler(ECHO))
        bus.on_change(lambda: inbox.put(Delivery(CONFIGURATION, "", b"")))
        bus.on_update(lambda deployment_id: inbox.put(Delivery(UPDATE, deployment_id, b"")))
        worker.work([])  # the segments must be known before the first reading comes
        bus.subscribe_local(topics.READINGS_FILTER, inbox.handler(READINGS))
        bus.subscribe_local(topics.FRAMES_FILTER, inbox.handler(READINGS))
    except (BusError, StoreError, InvalidTopicError) as error:
        _log.error("cannot start", extra={"reason": repr(error)})
        return ExitCode.FAILED
    code = service.run()
    bus.close()
    return code


def _pipeline(gateway: str, path: Path, bus: Publisher, clock: SystemClock) -> Pipeline:
    """The pipeline with the state of the process before; a state that cannot be read is set aside and reported."""
    store = GatewayStore.open(path, clock.wall_ms())
    if store.quarantined is not None:
        _log.error("began a new state", extra={"aside": str(store.quarantined.path)})
    try:
        return Pipeline(gateway, store, bus, AggregatorSettings(), steady_ms=clock.steady_ms(), boot_id=clock.boot_id())
    except SnapshotError as error:
        store.close()
        aside = set_aside(path, clock.wall_ms(), str(error))
        _log.error("began a new state", extra={"aside": str(aside.path), "reason": str(error)})
        store = GatewayStore.open(path, clock.wall_ms())
        return Pipeline(gateway, store, bus, AggregatorSettings(), steady_ms=clock.steady_ms(), boot_id=clock.boot_id())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m aggregator", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder of the gateway's database")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
