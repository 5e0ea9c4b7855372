"""Start MiniStack with our shims. Runs inside the local cloud's own interpreter, never in the project's.

    .venv-cloud/bin/python -m simulator.local_cloud.launcher

Configured by environment variables alone (`local_cloud.LocalCloud` writes them). With ROADSIDE_END_WITH_OWNER set the
process ends when its standard input closes, so it does not outlive an owner that was killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from simulator.local_cloud import guard
from simulator.local_cloud.shims import (
    alarm_evaluation,
    async_invocation,
    athena_tables,
    certificate_authority,
    firehose_delivery,
    kinesis_expiry,
    kinesis_mapping,
    metrics,
    mutual_tls,
    on_failure,
    permissions,
    rule_actions,
    secure_transport,
    worker_logs,
)

# Set by an owner that keeps our standard input open as long as it lives.
END_WITH_OWNER = "ROADSIDE_END_WITH_OWNER"

SHIMS = (
    kinesis_expiry,
    kinesis_mapping,
    async_invocation,
    rule_actions,
    mutual_tls,
    certificate_authority,
    secure_transport,
    worker_logs,
    metrics,
    alarm_evaluation,
    firehose_delivery,
    athena_tables,
)


def _end_with_owner() -> None:
    """Wait for the owner to close our standard input, then end this process group (the Lambda workers too)."""
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGTERM)


def main() -> int:
    """Check the hooks, apply the shims, serve until a signal arrives. Returns 1 when the guard refuses."""
    hooks = [*permissions.HOOKS, *on_failure.HOOKS, *(hook for shim in SHIMS for hook in shim.HOOKS)]
    try:
        guard.check(hooks)
    except guard.GuardError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for shim in SHIMS:
        shim.install()
    if END_WITH_OWNER in os.environ:
        threading.Thread(target=_end_with_owner, name="owner", daemon=True).start()

    from ministack import app  # noqa: PLC0415  (the guard must speak first)

    sys.argv = ["ministack"]  # its argument parser reads ours otherwise
    app.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
