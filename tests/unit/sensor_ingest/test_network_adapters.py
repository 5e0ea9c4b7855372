"""UDP, TCP and HTTP over real sockets: what is sent arrives, and no sender can hold the component up."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from recording import RecordingSink, port_of, running, until

from sensor_ingest.adapters.http import MAX_HEAD_BYTES, HttpAdapter
from sensor_ingest.adapters.tcp import TcpAdapter
from sensor_ingest.adapters.udp import UdpAdapter
from sensor_ingest.settings import HttpSettings, TcpSettings, UdpSettings

MAX_BYTES = 1024
Scene = Callable[[int, RecordingSink], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def _told_ports(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def play(adapter: Any, scene: Scene, caplog: pytest.LogCaptureFixture) -> RecordingSink:
    async def main() -> RecordingSink:
        sink = RecordingSink()
        async with running(adapter, sink):
            await scene(await port_of(caplog), sink)
        return sink

    return asyncio.run(main())


def tcp(**settings: Any) -> TcpAdapter:
    return TcpAdapter(TcpSettings(name="tcp", port=0, **settings), MAX_BYTES)


def http(**settings: Any) -> HttpAdapter:
    return HttpAdapter(HttpSettings(name="http", port=0, **settings), MAX_BYTES)


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def ask(port: int, request: bytes, *, end: bool = False) -> tuple[int, dict[str, str], Any]:
    """Status, headers and content of the answer to one request."""
    reader, writer = await connect(port)
    writer.write(request)
    if end:
        writer.write_eof()
    answer = await read_answer(reader)
    writer.close()
    return answer


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        content = await reader.readexactly(int(headers["Content-Length"]))
    return int(first.split(" ")[1]), headers, json.loads(content)


def post(body: bytes, *headers: str, path: str = "/readings") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_udp_hands_in_datagrams_and_refuses_the_oversized(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for payload in (b"one", b"x" * MAX_BYTES, b"x" * (MAX_BYTES + 1), b"", b"last"):
                sender.sendto(payload, ("127.0.0.1", port))
            await until(lambda: b"last" in sink.payloads)

    sink = play(UdpAdapter(UdpSettings(name="udp", port=0), MAX_BYTES), scene, caplog)
    assert sink.payloads == [b"one", b"x" * MAX_BYTES, b"", b"last"]
    assert sink.refused == {"message: too large": 1}


def test_tcp_hands_in_whole_lines_only(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        _, writer = await connect(port)
        for part in (b"fir", b"st\r\nsecond\n\n", b"thi", b"rd\n", b"cut sho"):
            writer.write(part)
            await writer.drain()
        writer.close()
        await until(lambda: sink.refused)

    sink = play(tcp(), scene, caplog)
    assert [payload.strip() for payload in sink.payloads] == [b"first", b"second", b"third"]
    assert sink.refused == {"message: cut short": 1}


def test_tcp_ends_a_connection_with_an_endless_line_and_serves_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        reader, writer = await connect(port)
        writer.write(b"good\n" + b"x" * (4 * MAX_BYTES))
        assert await asyncio.wait_for(until_closed(reader), 5)
        writer.close()
        _, other = await connect(port)
        other.write(b"other\n")
        await until(lambda: b"other\n" in sink.payloads)
        other.close()

    sink = play(tcp(), scene, caplog)
    assert sink.payloads == [b"good\n", b"other\n"]
    assert sink.refused["message: too large"] == 1


async def until_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


def test_tcp_trickling_sender_is_cut_off_in_time_and_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        slow_reader, slow = await connect(port)
        _, brisk = await connect(port)

        async def trickle(writer: asyncio.StreamWriter, text: bytes) -> None:
            while not sink.refused:
                writer.write(text)
                await asyncio.sleep(0.02)

        await asyncio.wait_for(asyncio.gather(trickle(slow, b"x"), trickle(brisk, b"y\n")), 5)
        assert await asyncio.wait_for(until_closed(slow_reader), 5)
        brisk.write(b"still here\n")
        await until(lambda: b"still here\n" in sink.payloads)

    sink = play(tcp(idle_seconds=0.3), scene, caplog)
    assert sink.refused["connection: idle for too long"] == 1
    assert not any(b"x" in payload for payload in sink.payloads)


@pytest.mark.parametrize("make", [tcp, http])
def test_connections_over_the_limit_are_turned_away(make: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        held = [await connect(port) for _ in range(2)]
        reader, _ = await connect(port)
        assert await asyncio.wait_for(until_closed(reader), 5)
        await until(lambda: sink.refused["connection: too many"] == 1)
        held[0][1].close()
        await held[0][1].wait_closed()

        async def accepted() -> bool:
            reader, writer = await connect(port)
            writer.write(post(b"later") if make is http else b"later\n")
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(1), 0.2)
            writer.close()
            return bool(sink.payloads)

        async with asyncio.timeout(5):
            while not await accepted():
                pass

    assert play(make(max_connections=2), scene, caplog).payloads[0].strip() == b"later"


def test_tcp_does_not_read_on_while_there_is_no_room(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        sink.room = False
        _, writer = await connect(port)
        sent = 0
        line = b"y" * (MAX_BYTES - 1) + b"\n"
        try:
            async with asyncio.timeout(0.5):
                while True:  # until the buffers of both ends are full
                    writer.write(line)
                    sent += 1
                    await writer.drain()
        except TimeoutError:
            pass
        assert sink.payloads == []
        sink.room = True
        await writer.drain()
        await until(lambda: len(sink.payloads) == sent)

    assert play(tcp(), scene, caplog).refused == {}


def test_http_takes_posts_on_one_connection_and_tells_what_became_of_them(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, _sink: RecordingSink) -> None:
        reader, writer = await connect(port)
        writer.write(post(b"good") + post(b"bad", "Connection: close"))
        assert await read_answer(reader) == (
            202,
            {"Content-Type": "application/json", "Content-Length": "30", "Connection": "keep-alive"},
            {"accepted": 1, "refused": {}},
        )
        status, headers, content = await read_answer(reader)
        assert (status, content) == (400, {"accepted": 0, "refused": {"record: bad": 1}})
        assert headers["Connection"] == "close"
        assert await asyncio.wait_for(until_closed(reader), 5)

    assert play(http(), scene, caplog).payloads == [b"good", b"bad"]


def test_http_expecting_client_is_told_to_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        reader, writer = await connect(port)
        head, _, body = post(b"waited", "Expect: 100-continue").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert not sink.payloads
        writer.write(body)
        assert (await read_answer(reader))[0] == 202

    assert play(http(), scene, caplog).payloads == [b"waited"]


def test_http_tells_to_come_again_while_there_is_no_room(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        sink.room = False
        status, headers, _ = await ask(port, post(b"refused"))
        assert (status, headers["Retry-After"]) == (503, "1")

    assert play(http(), scene, caplog).payloads == []


HOSTILE = [
    (post(b"x" * (MAX_BYTES + 1)), 413),
    (b"POST /readings HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
    (b"POST /readings HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
    (b"POST /readings HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 411),
    (b"POST /readings HTTP/1.1\r\n\r\n", 411),
    (b"POST /readings HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (b"GET /readings HTTP/1.1\r\n\r\n", 405),
    (post(b"x", path="/elsewhere"), 404),
    (b"hello there\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),  # a TLS client
    (b"POST /readings HTTP/1.1\r\nA: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
    (b"POST /readings HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
]


@pytest.mark.parametrize(("request_bytes", "status"), HOSTILE, ids=[f"{n}-{each[1]}" for n, each in enumerate(HOSTILE)])
def test_http_refuses_what_is_no_request_of_ours(
    request_bytes: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        got, headers, _ = await ask(port, request_bytes)
        assert got == status
        assert headers["Connection"] == "close"
        assert headers.get("Allow") == ("POST" if status == 405 else None)
        assert (await ask(port, post(b"next")))[0] == 202
        assert sink.refused.total() == 1

    assert play(http(), scene, caplog).payloads == [b"next"]


def test_http_body_cut_short_or_late_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, sink: RecordingSink) -> None:
        _, writer = await connect(port)
        writer.write(post(b"whole body")[:-3])
        writer.write_eof()
        await until(lambda: sink.refused["message: cut short"] == 1)
        reader, writer = await connect(port)
        writer.write(post(b"whole body")[:-3])
        assert await asyncio.wait_for(until_closed(reader), 5)
        assert (await ask(port, b"POST /rea", end=True))[0] == 400

    sink = play(http(idle_seconds=0.2), scene, caplog)
    assert sink.payloads == []
    assert sink.refused == {"message: cut short": 1, "connection: idle for too long": 1, "request: cut short": 1}


def test_servers_end_with_their_connections_open(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(port: int, _sink: RecordingSink) -> None:
        _, writer = await connect(port)
        writer.write(b"POST /readings HTTP/1.1\r\n")
        await writer.drain()

    for make in (tcp, http):
        play(make(), scene, caplog)  # would not return while a conversation went on
        caplog.clear()
