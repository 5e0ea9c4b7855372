"""Collect a function's log without holding up its next invocation.

A worker writes its log before its result, so the lines are there when the result is; MiniStack still waits up to 50 ms
for a first line, which limits a function that logs nothing to 20 invocations a second. A line that is later than this
shorter wait counts to the next invocation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.local_cloud.guard import Hook

_RUNTIME = "ministack.core.lambda_runtime"
HOOKS = (
    Hook(
        _RUNTIME,
        "Worker._drain_stderr_bounded",
        "(self, first_line_wait: float = 0.05, idle_confirm: float = 0.005, hard_cap: float = 0.25) -> str",
    ),
)

FIRST_LINE_WAIT_S = 0.003
IDLE_CONFIRM_S = 0.002


def install() -> None:
    """Shorten the waits."""
    from ministack.core import lambda_runtime  # noqa: PLC0415

    drain: Callable[..., str] = lambda_runtime.Worker._drain_stderr_bounded

    def drain_briefly(
        worker: Any,
        first_line_wait: float = FIRST_LINE_WAIT_S,
        idle_confirm: float = IDLE_CONFIRM_S,
        hard_cap: float = 0.25,
    ) -> str:
        return drain(worker, first_line_wait, idle_confirm, hard_cap)

    lambda_runtime.Worker._drain_stderr_bounded = drain_briefly
