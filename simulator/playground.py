"""The local cloud as a place to look around in."""

import signal
import threading
from collections.abc import Mapping

from rich.console import Console

from simulator.local_cloud.local_cloud import LocalCloud


def keep_running(cloud: LocalCloud, outputs: Mapping[str, str], console: Console) -> None:
    """Show how to reach the cloud, then wait for Ctrl-C or SIGTERM."""
    asked_to_stop = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: asked_to_stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    console.print("The local cloud runs. In another terminal:", highlight=False)
    for name, value in sorted(cloud.environment().items()):
        if name.startswith("AWS_"):
            console.print(f"  export {name}={value}", highlight=False)
    console.print(f"Devices connect with mutual TLS to {cloud.mqtt_host}:{cloud.mqtt_port}.", highlight=False)
    for name, value in sorted(outputs.items()):
        console.print(f"  {name} = {value}", highlight=False)
    console.print("Ctrl-C ends it; nothing is kept.", highlight=False)
    try:
        asked_to_stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
