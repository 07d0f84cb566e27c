"""Futures of calls over lanes, as grpc has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event, current_thread
from typing import Any

import grpc
import pytest

from mesh.blocking import BlockingChannel
from mesh.lane import Endpoint
from mesh.lane.frames import MAX_REQUEST
from tests.unit.mesh.blocking_server import ONCE, BlockingServer, serving

WAIT_S = 30


@pytest.fixture(scope="module")
def server() -> Iterator[BlockingServer]:
    with serving() as server:
        yield server


@pytest.fixture
def channel(server: BlockingServer) -> Iterator[BlockingChannel]:
    server.holding.clear()
    server.cancelled.clear()
    with BlockingChannel(server.endpoint, timeout_s=WAIT_S) as channel:
        yield channel


def begin(channel: BlockingChannel, name: str, request: bytes = b"", **options: Any) -> Any:
    """A call that is under way."""
    return channel.unary_unary(f"{ONCE}{name}").future(request, **options)


def test_a_result_is_waited_for(channel: BlockingChannel) -> None:
    """It is the response; the call's status and metadata stand beside it."""
    future = begin(channel, "Tell")

    assert future.result() == b"lane"
    assert future.result(timeout=0) == b"lane"
    assert (future.exception(), future.traceback()) == (None, None)
    assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
    assert (future.code(), future.details()) == (grpc.StatusCode.OK, "")
    assert future.initial_metadata() == (("x-first", "1"),)
    assert future.trailing_metadata() == (("x-last-bin", b"\x00"),)
    assert "OK" in future.debug_error_string()
    assert not future.is_active()


def test_many_are_under_way_at_once(channel: BlockingChannel) -> None:
    """Nobody waits for the one to begin the other."""
    futures = [begin(channel, "Echo", str(number).encode()) for number in range(200)]
    assert [future.result() for future in futures] == [str(n).encode() for n in range(200)]


def test_a_failure_is_its_exception(channel: BlockingChannel) -> None:
    """It is raised by the result, and answered by `exception`."""
    future = begin(channel, "Refuse")

    with pytest.raises(grpc.RpcError) as caught:
        future.result()
    assert future.exception() is caught.value
    assert future.code() is caught.value.code() is grpc.StatusCode.ABORTED
    assert future.traceback() is not None
    assert not future.cancelled()


def test_a_result_may_be_waited_for_a_while(channel: BlockingChannel) -> None:
    """The call goes on after that."""
    future = begin(channel, "Hold")

    for wait in (future.result, future.exception, future.traceback):
        with pytest.raises(grpc.FutureTimeoutError):
            wait(timeout=0.01)
    assert future.is_active()
    assert future.running()
    assert 0 < future.time_remaining() <= WAIT_S


def test_a_deadline_ends_it(channel: BlockingChannel) -> None:
    """Also while nobody waits."""
    ended = Event()
    future = begin(channel, "Hold", timeout=0.1)
    assert future.add_callback(ended.set)

    assert ended.wait(WAIT_S)
    assert future.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert not future.add_callback(ended.set)


def test_it_is_cancelled(server: BlockingServer, channel: BlockingChannel) -> None:
    """At once for its owner; the server is told."""
    future = begin(channel, "Hold")
    assert server.holding.wait(WAIT_S)

    assert future.cancel()
    assert not future.cancel()
    assert future.cancelled()
    assert future.done()
    assert future.code() is grpc.StatusCode.CANCELLED
    for wait in (future.result, future.exception, future.traceback):
        with pytest.raises(grpc.FutureCancelledError):
            wait()
    assert server.cancelled.wait(WAIT_S)


def test_callbacks_get_the_future(channel: BlockingChannel) -> None:
    """Once it has ended; at once when it has already."""
    told: SimpleQueue[Any] = SimpleQueue()
    future = begin(channel, "Way")
    future.add_done_callback(told.put)

    assert told.get(timeout=WAIT_S) is future
    future.add_done_callback(told.put)
    assert told.get_nowait() is future


def test_a_callback_may_call(channel: BlockingChannel) -> None:
    """A blocking call in the lanes' thread cannot wait for lanes: it goes the ordinary way."""
    told: SimpleQueue[Any] = SimpleQueue()
    release = Event()

    def call(_: Any) -> None:
        release.wait(WAIT_S)
        told.put((current_thread().name, channel.unary_unary(f"{ONCE}Way")(b"")))

    begin(channel, "Way").add_done_callback(call)
    release.set()

    assert told.get(timeout=WAIT_S) in {("mesh lanes", b"plain"), ("MainThread", b"lane")}


def test_a_callback_that_raises_harms_nobody(
    channel: BlockingChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the others are called, and the lanes go on."""
    told = Event()
    future = begin(channel, "Hold")
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(lambda _: told.set())
    with caplog.at_level(logging.ERROR):
        future.cancel()

    assert told.is_set()
    assert "callback_failed" in caplog.text
    assert channel.unary_unary(f"{ONCE}Way")(b"") == b"lane"


def test_a_large_request_is_a_future_too(channel: BlockingChannel) -> None:
    """Of grpc's own kind."""
    payload = bytes(MAX_REQUEST + 1)
    assert begin(channel, "Echo", payload).result() == payload


@pytest.mark.parametrize(
    ("name", "code"), [("Way", grpc.StatusCode.OK), ("Refuse", grpc.StatusCode.ABORTED)]
)
def test_a_call_that_no_lane_takes_goes_on_plainly(
    server: BlockingServer, name: str, code: grpc.StatusCode
) -> None:
    """The future is the same, whichever way the call goes."""
    target = Endpoint(server.address, ("unix:/nobody/is.here",))
    with BlockingChannel(target) as channel:
        future = begin(channel, name)
        assert future.code() is code
        assert code is not grpc.StatusCode.OK or future.result() == b"plain"


def test_cancelling_reaches_a_call_that_went_on_plainly(server: BlockingServer) -> None:
    """The server is told by gRPC's own means."""
    server.holding.clear()
    server.cancelled.clear()
    with BlockingChannel(Endpoint(server.address, ("unix:/nobody/is.here",))) as channel:
        future = begin(channel, "Hold", timeout=WAIT_S)
        assert server.holding.wait(WAIT_S)
        assert future.cancel()
        assert server.cancelled.wait(WAIT_S)


def test_closing_the_channel_ends_it(server: BlockingServer) -> None:
    """Whoever waits learns that it was cancelled."""
    with BlockingChannel(server.endpoint) as channel:
        future = begin(channel, "Hold")
    with pytest.raises(grpc.RpcError):
        future.result()
    assert future.code() is grpc.StatusCode.CANCELLED
