"""The proxy makes a network as bad as it is told, and good again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from loadtests.proxy import Way
from tests.fault import Proxy

WAIT_S = 10.0


@contextmanager
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(1 << 16):
                        connection.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with echo() as target, Proxy(target) as proxy:
        yield proxy


@contextmanager
def connected(proxy: Proxy, timeout_s: float = WAIT_S) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout_s) as client:
        yield client


def test_passes_on_what_both_sides_send(proxy: Proxy) -> None:
    """A healthy link changes nothing, however much goes over it."""
    with connected(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(b"x" * 1_000_000,))
        sender.start()
        got = 0
        while got < 1_000_000:
            got += len(client.recv(1 << 16))
        sender.join()
    assert got == 1_000_000


def test_cut_resets_what_is_open_and_takes_new_connections(proxy: Proxy) -> None:
    """Who is connected is reset; who comes then is served."""
    with connected(proxy) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        proxy.cut()
        with pytest.raises(ConnectionError):
            client.recv(1)
    with connected(proxy) as client:
        client.sendall(b"b")
        assert client.recv(1) == b"b"


def test_half_open_connections_stay_silent_until_healed(proxy: Proxy) -> None:
    """Nothing comes through, and nothing is lost once it may."""
    with connected(proxy, 0.2) as client:
        proxy.hold()
        client.sendall(b"late")
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.heal()
        client.settimeout(WAIT_S)
        assert client.recv(1) == b"l"


def test_one_direction_alone_may_be_silent(proxy: Proxy) -> None:
    """The server hears what the client says, and is not heard."""
    with connected(proxy, 0.2) as client:
        proxy.hold(Way.BACK)
        client.sendall(b"said")
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert proxy.passed == {Way.THERE: 4, Way.BACK: 0}
        proxy.heal()
        client.settimeout(WAIT_S)
        assert client.recv(4) == b"said"


def test_refused_connections_end_at_once(proxy: Proxy) -> None:
    """A new connection is closed without an answer, until healed."""
    proxy.refuse()
    with suppress(ConnectionError), connected(proxy) as client:
        assert client.recv(1) == b""
    proxy.heal()
    with connected(proxy) as client:
        client.sendall(b"c")
        assert client.recv(1) == b"c"


def test_delay_holds_each_piece_up(proxy: Proxy) -> None:
    """An answer does not come before its delay, once in each direction."""
    with connected(proxy, 0.2) as client:
        proxy.delay(0.3)
        client.sendall(b"d")
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(WAIT_S)
        assert client.recv(1) == b"d"


def test_a_narrow_link_takes_its_time(proxy: Proxy) -> None:
    """What is more than it carries in a time does not come within it."""
    with connected(proxy, 0.2) as client:
        proxy.delay(0.0, bytes_per_s=10)
        client.sendall(b"narrow")
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_counts_connections(proxy: Proxy) -> None:
    """A test can see that its system connected again."""
    for number in (1, 2):
        with connected(proxy) as client:
            client.sendall(b"e")
            assert client.recv(1) == b"e"
        assert proxy.accepted == number
