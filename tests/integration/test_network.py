"""The simulated network: what goes through it, and what a cut does to those who talk."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from simulator.faults.network import Network

HOST = "127.0.0.1"
WAIT_S = 10.0


class Echo:
    """A server that sends back what it gets, in capitals."""

    def __init__(self) -> None:
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while said := connection.recv(1000):
                    connection.sendall(said.upper())
            except ConnectionError:
                return


@pytest.fixture
def network() -> Iterator[Network]:
    echo = Echo()
    with echo.listener, Network(HOST, echo.port) as opened:
        yield opened


def connect(network: Network) -> socket.socket:
    return socket.create_connection((HOST, network.ports[0]), timeout=WAIT_S)


def ask(connection: socket.socket, said: bytes) -> bytes:
    connection.sendall(said)
    return connection.recv(1000)


def test_callers_are_connected_side_by_side(network: Network) -> None:
    with connect(network) as one, connect(network) as other:
        assert ask(one, b"one") == b"ONE"
        assert ask(other, b"other") == b"OTHER"
        assert network.connections == 2


def test_a_cut_ends_every_connection_and_refuses_new_ones_until_it_is_mended(network: Network) -> None:
    with connect(network) as one, connect(network) as other:
        assert ask(one, b"a") == ask(other, b"a") == b"A"
        network.cut([0])
        for connection in (one, other):
            assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(network)
    port = network.ports[0]
    network.mend([0])
    assert network.ports[0] == port
    with connect(network) as again:
        assert ask(again, b"back") == b"BACK"


def test_cut_and_mend_may_be_asked_for_twice(network: Network) -> None:
    network.cut([0])
    network.cut([0])
    network.mend([0])
    network.mend([0])
    with connect(network) as connection:
        assert ask(connection, b"x") == b"X"


def test_a_caller_who_goes_is_forgotten(network: Network) -> None:
    with connect(network) as one:
        assert ask(one, b"a") == b"A"
    with connect(network) as other:
        for _ in range(1000):
            assert ask(other, b"b") == b"B"
            if network.connections == 1:
                return
    pytest.fail("the first connection is still open")


def test_one_way_is_cut_and_the_other_goes_on() -> None:
    echo = Echo()
    with echo.listener, Network(HOST, echo.port, ways=2) as network:
        there, elsewhere = (socket.create_connection((HOST, port), timeout=WAIT_S) for port in network.ports)
        with there, elsewhere:
            assert ask(there, b"a") == ask(elsewhere, b"a") == b"A"
            network.cut([0])
            assert there.recv(1) == b""
            assert ask(elsewhere, b"b") == b"B"
