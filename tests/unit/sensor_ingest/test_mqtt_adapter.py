"""The MQTT adapter against a real broker, plain and with mutual TLS. Needs `mosquitto` on PATH."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from awscrt import mqtt
from recording import RecordingSink, running, until

from sensor_ingest.adapters import mqtt as mqtt_adapter
from sensor_ingest.adapters.mqtt import MqttAdapter, sensor_in_topic
from sensor_ingest.adapters.port import AdapterError
from sensor_ingest.settings import MqttSettings, TlsSettings

MOSQUITTO, OPENSSL = shutil.which("mosquitto"), shutil.which("openssl")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="the broker mosquitto is not on PATH")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not on PATH")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Broker:
    def __init__(self, directory: Path, port: int, *more: str) -> None:
        self.port = port
        configuration = directory / "mosquitto.conf"
        # As root it would become another user, who cannot read the certificates.
        configuration.write_text(
            "\n".join(["user root", f"listener {port} 127.0.0.1", "allow_anonymous true", *more, ""])
        )
        assert MOSQUITTO is not None
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(configuration)], stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 5
        while not self._listens():
            assert time.monotonic() < deadline_s, "the broker does not listen"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(5)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    started: list[Broker] = []

    def start_one(port: int, *more: str) -> Broker:
        started.append(Broker(tmp_path, port, *more))
        return started[-1]

    yield start_one
    for broker in started:
        broker.stop()


async def publish(port: int, messages: list[tuple[str, bytes]]) -> None:
    connection = mqtt.Connection(mqtt.Client(), "127.0.0.1", port, "publisher", clean_session=True)
    await answer(connection.connect())
    for topic, payload in messages:
        await answer(connection.publish(topic, payload, mqtt.QoS.AT_LEAST_ONCE)[0])
    await answer(connection.disconnect())


async def answer(waiting: "Future[Any]") -> None:
    await asyncio.wait_for(asyncio.wrap_future(waiting), 5)


async def subscribed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await until(lambda: any(each.message.endswith(" is subscribed") for each in caplog.records))


def test_a_level_of_the_topic_names_the_sensor() -> None:
    assert sensor_in_topic("site/loops/17/data", 3) == "17"
    assert sensor_in_topic("site/loops", 3) is None
    assert sensor_in_topic("site/loops/17", None) is None


@needs_broker
def test_messages_of_all_topics_arrive_with_their_sensor_and_oversized_ones_do_not(
    start: Callable[..., Broker], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    broker = start(free_port())
    settings = MqttSettings(name="m", port=broker.port, topics=["loops/+", "arrays"], sensor_id_level=2)

    async def main() -> RecordingSink:
        sink = RecordingSink()
        async with running(MqttAdapter(settings, 100), sink):
            await subscribed(caplog)
            messages = [
                ("loops/a", b"1"),
                ("other", b"no"),
                ("loops/b", b"x" * 101),
                ("arrays", b"[2]"),
                ("loops/b", b"3"),
            ]
            await publish(broker.port, messages)
            await until(lambda: b"3" in sink.payloads)
        return sink

    sink = asyncio.run(main())
    assert list(zip(sink.senders, sink.payloads, strict=True)) == [("a", b"1"), (None, b"[2]"), ("b", b"3")]
    assert sink.refused == {"message: too large": 1}


@needs_broker
@pytest.mark.slow
def test_a_broker_that_comes_back_is_heard_again(
    start: Callable[..., Broker], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    port = free_port()
    broker = start(port)
    settings = MqttSettings(name="m", port=port, topics=["loops/+"])

    async def main() -> None:
        sink = RecordingSink()
        async with running(MqttAdapter(settings, 100), sink):
            await subscribed(caplog)
            broker.stop()
            await until(lambda: sink.refused["connection: broken"])
            start(port)

            async with asyncio.timeout(20):
                while not sink.payloads:
                    await publish(port, [("loops/a", b"again")])
                    await asyncio.sleep(0.1)

    asyncio.run(main())


def test_no_broker_is_told_and_not_waited_for_long() -> None:
    settings = MqttSettings(name="m", port=free_port(), topics=["t"])
    with pytest.raises(AdapterError, match="no connection"):
        asyncio.run(MqttAdapter(settings, 100).run(RecordingSink()))


def certificates(directory: Path) -> None:
    """A small authority with a server's and a client's certificate."""

    def openssl(*arguments: str) -> None:
        assert OPENSSL is not None
        subprocess.run([OPENSSL, *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Site")
    for name in ("server", "client"):
        (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", "names")  # fmt: skip


@needs_broker
@needs_openssl
def test_mutual_tls_connects_with_the_right_certificates_only(
    start: Callable[..., Broker],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    certificates(tmp_path)
    port = free_port()
    start(
        port, f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key",
        "require_certificate true",
    )  # fmt: skip
    tls = {"ca_file": f"{tmp_path}/ca.pem"}
    own = {"certificate_file": f"{tmp_path}/client.pem", "key_file": f"{tmp_path}/client.key"}

    def adapter(tls: TlsSettings) -> MqttAdapter:
        return MqttAdapter(MqttSettings(name="m", host="localhost", port=port, topics=["t"], tls=tls), 100)

    async def main() -> None:
        async with running(adapter(TlsSettings(**tls, **own)), RecordingSink()):
            await subscribed(caplog)

    asyncio.run(main())
    monkeypatch.setattr(mqtt_adapter, "CONNECT_TIMEOUT_S", 1.0)
    with pytest.raises(AdapterError):
        asyncio.run(adapter(TlsSettings(**tls)).run(RecordingSink()))
    with pytest.raises(AdapterError):
        asyncio.run(adapter(TlsSettings(ca_file=f"{tmp_path}/client.pem", **own)).run(RecordingSink()))
