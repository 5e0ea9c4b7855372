"""Composition root of city.roadside.Monitor: the only file that knows the real bus, machine and clock at once."""

import logging
import os
from pathlib import Path

from monitor.notebook import Notebook
from monitor.probe import MachineProbe
from monitor.worker import COMPONENT, CONFIGURATION, CONNECTION_LOST, STATUS, MonitorWorker
from roadside.contract import topics
from roadside.contract.errors import InvalidTopicError
from roadside.runtime.clock import SystemClock
from roadside.runtime.greengrass import connect_greengrass
from roadside.runtime.logs import configure_logging
from roadside.runtime.ports import BusError
from roadside.runtime.service import Delivery, ExitCode, Inbox, Service
from roadside.runtime.status import StatusTeller

THING_VARIABLE = "AWS_IOT_THING_NAME"
NUCLEUS_VARIABLE = "GGC_VERSION"
INBOX_BYTES = 1024 * 1024  # statuses only

_log = logging.getLogger(__name__)


def run(state_dir: Path) -> int:
    """Run until told to stop; returns the exit code."""
    configure_logging(COMPONENT)
    gateway = os.environ.get(THING_VARIABLE, "")
    if not gateway:
        _log.error("%s is not set: a nucleus must start this process", THING_VARIABLE)
        return ExitCode.FAILED
    nucleus = os.environ.get(NUCLEUS_VARIABLE) or None
    clock = SystemClock()
    inbox = Inbox(INBOX_BYTES)
    probe, notebook = MachineProbe(state_dir), Notebook(state_dir)
    try:
        bus = connect_greengrass(lambda reason: inbox.put(Delivery(CONNECTION_LOST, reason, b"")))
        status = StatusTeller(COMPONENT, bus, clock, inbox.shed)
        worker = MonitorWorker(gateway, nucleus, bus, probe.look, notebook, clock, status)
        bus.on_change(lambda: inbox.put(Delivery(CONFIGURATION, "", b"")))
        bus.subscribe_local(topics.STATUS_FILTER, inbox.handler(STATUS))
    except (BusError, InvalidTopicError) as error:
        _log.error("cannot start", extra={"reason": repr(error)})
        return ExitCode.FAILED
    code = Service(worker, inbox, clock).run()
    bus.close()
    return code
