"""A cloud that is kept tells what to paste, and ends at Ctrl-C."""

import io
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from simulator.local_cloud.playground import CITY_QUESTIONS, keep_running

ENVIRONMENT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566/" + "a" * 100, "PATH": "/nowhere"}


def test_lines_to_paste_stay_whole_and_ctrl_c_ends_it() -> None:
    cloud: Any = SimpleNamespace(environment=lambda: ENVIRONMENT, mqtt_host="127.0.0.1", mqtt_port=8883)
    told = io.StringIO()
    before = signal.getsignal(signal.SIGINT)

    def interrupt_once_all_is_told() -> None:
        while "Ctrl-C" not in told.getvalue():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt_once_all_is_told, daemon=True)
    interrupter.start()
    keep_running(cloud, {"WindowsTable": "windows"}, Console(file=told, width=80), CITY_QUESTIONS)
    interrupter.join()

    lines = [line.strip() for line in told.getvalue().splitlines()]
    assert f"export AWS_ENDPOINT_URL={ENVIRONMENT['AWS_ENDPOINT_URL']}" in lines
    assert not any("PATH" in line for line in lines)
    assert [line for line in lines if "cloud.query" in line] == [
        f".venv/bin/python -m cloud.query {question}" for question in CITY_QUESTIONS
    ]
    assert signal.getsignal(signal.SIGINT) is before
