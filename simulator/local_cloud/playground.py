"""The local cloud as a place to look around in."""

import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console

from simulator.local_cloud.local_cloud import LocalCloud

QUESTIONS: Final = ("top", "district", "alerts", "gateways", "--help")
"""What `python -m cloud.query` is asked first, where nothing is known of the city."""

CITY_QUESTIONS: Final = (
    "top",
    "district",
    "district Northgate",
    "latest 0 gw-000-seg01",
    "history 0 --from 1h",
    "sensor 0",
    "alerts",
    "gateways",
    "--help",
)
"""The same after a run, whose city always has these."""


def keep_running(
    cloud: LocalCloud, outputs: Mapping[str, str], console: Console, questions: Sequence[str] = QUESTIONS
) -> None:
    """Show how to reach the cloud and what to ask it, then wait for Ctrl-C or SIGTERM."""
    asked_to_stop = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: asked_to_stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    console.print("The local cloud runs. In another terminal:", highlight=False)
    for name, value in sorted(cloud.environment().items()):
        if name.startswith("AWS_"):
            console.print(f"  export {name}={value}", highlight=False, soft_wrap=True)
    for question in questions:
        console.print(f"  .venv/bin/python -m cloud.query {question}", highlight=False, soft_wrap=True)
    console.print(f"Devices connect with mutual TLS to {cloud.mqtt_host}:{cloud.mqtt_port}.", highlight=False)
    for name, value in sorted(outputs.items()):
        console.print(f"  {name} = {value}", highlight=False)
    console.print("Ctrl-C ends it; nothing is kept.", highlight=False)
    try:
        while not asked_to_stop.wait(1.0):
            pass  # a signal that another thread takes wakes nobody who waits without a bound
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
