"""The device listener as AWS IoT has it: no connection without a client certificate. And on loopback only.

MiniStack accepts a client that shows no certificate, and binds this listener to every interface whatever BIND_HOST
says.
"""

from __future__ import annotations

import asyncio
import os
import ssl

from simulator.local_cloud.guard import Hook

_IOT = "ministack.services.iot"
HOOKS = (
    Hook(_IOT, "_mtls_build_ssl_context", "() -> 'ssl.SSLContext'"),
    Hook(_IOT, "_mtls_start_locked", "() -> 'None'"),
    Hook(_IOT, "_mtls_port", "() -> 'int | None'"),
    Hook(_IOT, "_MtlsAcceptor"),
    Hook(_IOT, "_mtls_server"),
    Hook(_IOT, "_mtls_loop"),
)


def install() -> None:
    """Require client certificates and bind to BIND_HOST (127.0.0.1 when unset)."""
    from ministack.services import iot  # noqa: PLC0415

    build_ssl_context = iot._mtls_build_ssl_context

    def build_strict_ssl_context() -> ssl.SSLContext:
        context: ssl.SSLContext = build_ssl_context()
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def start_on_bind_host() -> None:
        if iot._mtls_server is not None or iot._mtls_port() is None:
            return
        loop = asyncio.get_running_loop()
        iot._mtls_server = await loop.create_server(
            iot._MtlsAcceptor, host=os.environ.get("BIND_HOST", "127.0.0.1"), port=iot._mtls_port()
        )
        iot._mtls_loop = loop

    iot._mtls_build_ssl_context = build_strict_ssl_context
    iot._mtls_start_locked = start_on_bind_host
