"""Topics of a broker on the site, by the device SDK's MQTT 3.1.1 client, which reconnects by itself.

Messages are acknowledged as they come, so nothing holds the senders back: what the queue has no room for gives way.
"""

import asyncio
import logging
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from awscrt import io, mqtt
from awscrt.exceptions import AwsCrtError

from sensor_ingest.adapters.port import AdapterError, Sink
from sensor_ingest.settings import MqttSettings, TlsSettings

CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
_TCP_TIMEOUT_MS: Final = 5000
_SDK_ERRORS: Final = (AwsCrtError, RuntimeError, OSError)  # what a call refuses at once comes as RuntimeError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MqttAdapter:
    """Implements Adapter."""

    settings: MqttSettings
    max_bytes: int

    async def run(self, sink: Sink) -> None:
        """Stay subscribed until cancelled. Raises AdapterError if the broker cannot be reached or refuses."""
        try:
            connection = self._connection(sink)
        except _SDK_ERRORS as error:
            raise AdapterError(f"cannot use the certificates: {error}") from error
        try:
            await self._connect(connection)
            await self._subscribe(connection)
            _log.info(f"adapter {self.settings.name} is subscribed", extra={"topics": self.settings.topics})
            await asyncio.get_running_loop().create_future()
        finally:  # also after a failed connect: the client would go on trying
            try:
                await asyncio.wait_for(asyncio.wrap_future(connection.disconnect()), CLOSE_TIMEOUT_S)
            except (*_SDK_ERRORS, TimeoutError) as error:
                _log.debug("the connection did not close cleanly", extra={"reason": repr(error)})

    async def _connect(self, connection: mqtt.Connection) -> None:
        try:
            await self._answer(connection.connect())
        except _SDK_ERRORS as error:
            raise AdapterError(f"no connection to {self.settings.host}:{self.settings.port}: {error}") from error

    async def _subscribe(self, connection: mqtt.Connection) -> None:
        for topic in self.settings.topics:
            try:
                granted = await self._answer(connection.subscribe(topic, mqtt.QoS(self.settings.qos))[0])
            except _SDK_ERRORS as error:
                raise AdapterError(f"cannot subscribe to {topic}: {error}") from error
            if granted["qos"] is None:
                raise AdapterError(f"the broker refuses the subscription to {topic}")

    @staticmethod
    async def _answer(answer: "Future[dict[str, Any]]") -> dict[str, Any]:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), CONNECT_TIMEOUT_S)
        except TimeoutError as error:
            raise AdapterError(f"the broker did not answer within {CONNECT_TIMEOUT_S:g} s") from error

    def _connection(self, sink: Sink) -> mqtt.Connection:
        name = self.settings.name

        def interrupted(error: Exception, **_: Any) -> None:
            sink.refuse("connection: broken")
            _log.warning(f"adapter {name} has lost its broker", extra={"reason": repr(error)})

        def resumed(connection: mqtt.Connection, session_present: bool, **_: Any) -> None:
            _log.info(f"adapter {name} has its broker again")
            if not session_present:
                connection.resubscribe_existing_topics()

        def received(topic: str, payload: bytes, **_: Any) -> None:
            if len(payload) > self.max_bytes:
                sink.refuse("message: too large")
            else:
                sink.accept(payload, sensor_in_topic(topic, self.settings.sensor_id_level))

        options = io.SocketOptions()
        options.connect_timeout_ms = _TCP_TIMEOUT_MS
        tls = _tls_context(self.settings.tls) if self.settings.tls else None
        connection = mqtt.Connection(
            mqtt.Client(None, tls),
            self.settings.host,
            self.settings.port,
            self.settings.client_id or f"roadside-{name}",
            clean_session=True,
            on_connection_interrupted=interrupted,
            on_connection_resumed=resumed,
            keep_alive_secs=self.settings.keep_alive_seconds,
            socket_options=options,
        )
        connection.on_message(received)
        return connection


def sensor_in_topic(topic: str, level: int | None) -> str | None:
    """The level of a topic, counted from 1, that names the sensor; None if there is none."""
    if level is None:
        return None
    levels = topic.split("/")
    return levels[level - 1] if level <= len(levels) else None


def _tls_context(settings: TlsSettings) -> io.ClientTlsContext:
    if settings.certificate_file is None or settings.key_file is None:
        options = io.TlsContextOptions()
    else:
        options = io.TlsContextOptions.create_client_with_mtls_from_path(settings.certificate_file, settings.key_file)
    options.override_default_trust_store_from_path(None, settings.ca_file)
    return io.ClientTlsContext(options)
