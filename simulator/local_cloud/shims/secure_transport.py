"""Count the loopback endpoint as TLS, for policies that deny plain HTTP.

A hardened queue, topic or bucket denies every request whose `aws:SecureTransport` is false. Here the requests never
leave the machine and run over HTTP; without this, AUTH=true would refuse them all.
"""

from __future__ import annotations

from contextvars import ContextVar

from simulator.local_cloud.guard import Hook

_EVALUATOR = "ministack.core.iam_evaluator"
HOOKS = (
    Hook(_EVALUATOR, "pin_request_origin", "(source_ip: str, secure_transport: bool) -> None"),
    Hook("ministack.app", "pin_request_origin", "(source_ip: str, secure_transport: bool) -> None"),
    Hook(_EVALUATOR, "_request_origin"),
)


def install() -> None:
    """Pin every request, and the work outside any request, as secure."""
    from ministack import app  # noqa: PLC0415
    from ministack.core import iam_evaluator  # noqa: PLC0415

    origin: ContextVar[tuple[str, bool]] = ContextVar("request_origin", default=("127.0.0.1", True))

    def pin_secure_origin(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001
        origin.set((source_ip, True))

    iam_evaluator._request_origin = origin
    app.pin_request_origin = pin_secure_origin
