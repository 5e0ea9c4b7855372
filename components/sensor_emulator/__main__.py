"""Composition root of city.roadside.SensorEmulator: the only file that knows the real bus, disk and clock at once."""

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
from sensor_emulator.period import Period
from sensor_emulator.worker import CONFIGURATION, CONNECTION_LOST, EmulatorWorker

COMPONENT = "city.roadside.SensorEmulator"

_log = logging.getLogger(__name__)


def main() -> int:
    """Run until told to stop; returns the exit code."""
    arguments = _arguments()
    configure_logging(COMPONENT)
    clock = SystemClock()
    inbox = Inbox()
    try:
        bus = connect_greengrass(lambda reason: inbox.put(Delivery(CONNECTION_LOST, reason, b"")))
        bus.on_change(lambda: inbox.put(Delivery(CONFIGURATION, "", b"")))
    except BusError as error:
        _log.error("cannot start", extra={"reason": repr(error)})
        return ExitCode.FAILED
    status = StatusTeller(COMPONENT, bus, clock, inbox.shed)
    worker = EmulatorWorker(bus, bus, Period(arguments.state_dir), clock, status)
    code = Service(worker, inbox, clock).run()
    bus.close()
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sensor_emulator", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="folder in which it notes when a run began")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
