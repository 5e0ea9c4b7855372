"""Composition root of city.roadside.SensorIngest: the only file that knows the real bus, sockets and clock at once."""

import argparse
import logging
import sys
from pathlib import Path

from roadside.runtime.clock import SystemClock
from roadside.runtime.greengrass import connect_greengrass
from roadside.runtime.logs import configure_logging
from roadside.runtime.ports import BusError
from roadside.runtime.service import Delivery, ExitCode, Inbox, Service
from roadside.runtime.status import StatusTeller
from sensor_ingest.adapters.host import AdapterHost
from sensor_ingest.intake import Intake
from sensor_ingest.positions import Positions
from sensor_ingest.worker import CONFIGURATION, CONNECTION_LOST, UPDATE, IngestWorker

COMPONENT = "city.roadside.SensorIngest"

_log = logging.getLogger(__name__)


def main() -> int:
    """Run until told to stop; returns the exit code."""
    arguments = _arguments()
    configure_logging(COMPONENT)
    clock = SystemClock()
    inbox = Inbox()
    positions = Positions(arguments.state_dir)
    intake = Intake(clock, inbox.wake)
    try:
        bus = connect_greengrass(lambda reason: inbox.put(Delivery(CONNECTION_LOST, reason, b"")))
        bus.on_change(lambda: inbox.put(Delivery(CONFIGURATION, "", b"")))
        bus.on_update(lambda deployment_id: inbox.put(Delivery(UPDATE, deployment_id, b"")))
    except BusError as error:
        _log.error("cannot start", extra={"reason": repr(error)})
        return ExitCode.FAILED
    adapters = AdapterHost(intake.door, positions)
    status = StatusTeller(COMPONENT, bus, clock, inbox.shed)
    worker = IngestWorker(bus, bus, intake, adapters, positions, clock, status, bus)
    code = Service(worker, inbox, clock).run()
    bus.close()
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sensor_ingest", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder of the files' positions")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
