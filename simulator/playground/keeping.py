"""A local cloud that is kept: what it tells of itself, and how long it stays."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Never

from rich.console import Console

from cloud import playground
from cloud.playground import Playground
from simulator.local_cloud.local_cloud import LocalCloud
from simulator.playground import background

QUESTIONS: Final = (
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
"""What `python -m cloud.query` is asked first; every made-up city has these."""

LOG: Final = "playground.log"
_START: Final = "python -m simulator local up"


class PlaygroundError(Exception):
    """There is one already, or none; the text says what to do."""


def refuse_a_second() -> None:
    """Raise PlaygroundError if a playground runs."""
    found = playground.running()
    if found is not None:
        raise PlaygroundError(
            f"a local cloud runs already, {found.what}, process {found.pid}: ask it (`local status`), or end it "
            "(`local down`) first"
        )


def the_one() -> Playground:
    """The playground that runs. Raises PlaygroundError, also for one that did not end in order."""
    found = playground.told()
    if found is None:
        raise PlaygroundError(f"no local cloud runs: start one by `{_START}`")
    if not found.is_alive:
        raise PlaygroundError(
            f"no local cloud runs any more: process {found.pid} ({found.what}) has ended without a word, as after a "
            f"kill or a reboot; `{_START}` starts afresh"
        )
    return found


def register(cloud: LocalCloud, what: str, folder: Path, *, is_run: bool) -> Playground:
    """Tell other programs that this process keeps the cloud. Raises PlaygroundError if another one does."""
    refuse_a_second()
    pid = os.getpid()
    found = Playground(
        pid=pid,
        born=playground.born(pid) or "",
        what=what,
        started_ms=int(time.time() * 1000),
        run=str(folder.absolute()) if is_run else None,
        logs=str(folder.absolute()),
        environment={name: value for name, value in cloud.environment().items() if name.startswith("AWS_")},
        device_endpoint=f"{cloud.mqtt_host}:{cloud.mqtt_port}",
    )
    playground.tell(found)
    return found


def explain(found: Playground, console: Console, questions: Sequence[str] = QUESTIONS) -> None:
    """Say what can be asked, and how it ends."""
    console.print("The local cloud runs on in the background. Ask it, without any setting:", highlight=False)
    for question in questions:
        console.print(f"  .venv/bin/python -m cloud.query {question}", highlight=False, soft_wrap=True)
    console.print("Other programs reach it by:", highlight=False)
    for name, value in sorted(found.environment.items()):
        console.print(f"  export {name}={value}", highlight=False, soft_wrap=True)
    console.print(f"Devices connect with mutual TLS to {found.device_endpoint}.", highlight=False)
    if found.run is not None:
        console.print(f"  .venv/bin/python -m simulator verify {found.run}", highlight=False, soft_wrap=True)
    for word in ("status", "logs", "down"):
        console.print(f"  .venv/bin/python -m simulator local {word}", highlight=False, soft_wrap=True)


def keep(cloud: LocalCloud, folder: Path, console: Console, exit_code: int) -> None:
    """Keep a run's cloud: register it, give the terminal back, and stay until told to end."""
    explain(register(cloud, f"the run in {folder}", folder, is_run=True), console)
    with until_told_to_end():
        background.hand_over(exit_code, folder / "work" / LOG)
        while True:
            time.sleep(1.0)
    playground.forget()


class _EndedError(BaseException):
    """Told to end; no error that anybody between here and there has to know."""


@contextmanager
def until_told_to_end() -> Iterator[None]:
    """Leave what is within at SIGTERM or Ctrl-C, in order and only once."""

    def end(_number: int, _frame: FrameType | None) -> Never:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise _EndedError

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except _EndedError:
        pass  # as asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
