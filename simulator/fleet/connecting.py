"""Connections of a whole fleet to one MQTT broker, on one event loop group."""

from typing import Final

from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup

from simulator.fleet.mqtt import DeviceConnection
from simulator.local_cloud.devices import DeviceIdentity

CONNECT_TIMEOUT_S: Final = 20.0


class Broker:
    """Where devices connect."""

    def __init__(self, host: str, port: int) -> None:
        group = EventLoopGroup(num_threads=1)  # type: ignore[no-untyped-call]
        self._bootstrap = ClientBootstrap(group, DefaultHostResolver(group))  # type: ignore[no-untyped-call]
        self._host = host
        self._port = port

    def connect(self, identity: DeviceIdentity, port: int | None = None) -> DeviceConnection:
        """Connect as that device, by another port if so told. From any thread.

        Raises DeviceConnectionError with the broker's reason.
        """
        connection = DeviceConnection(
            host=self._host,
            port=self._port if port is None else port,
            thing_name=identity.thing_name,
            certificate_pem=identity.certificate_pem.encode(),
            private_key_pem=identity.private_key_pem.encode(),
            ca_pem=identity.ca_pem.encode() or None,
            bootstrap=self._bootstrap,
        )
        connection.connect(CONNECT_TIMEOUT_S)
        return connection
