"""Unary calls over the blocking channel do what they do over grpc's own blocking channel."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from loadtests.bench.mesh_tls import LanesAlone
from mesh.blocking import SOCKETS, BlockingChannel
from mesh.lane import Endpoint
from tests.conformance.calls.contract import messages, stubs
from tests.conformance.calls.interop import INITIAL, TRAILING
from tests.conformance.calls.paths import PATHS, Client, connected
from tests.conformance.calls.peer import certificate
from tests.conformance.calls.statuses import RICH
from tests.conformance.calls.statuses import TRAILING as ABORTED_WITH

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT_S = 30.0
REFERENCE = "grpc"
WAYS = (REFERENCE, "plain", *SOCKETS)


@dataclass(frozen=True, kw_only=True)
class Blocking:
    """A client on one way; what blocks runs in a thread beside the server's loop."""

    way: str
    channel: grpc.Channel
    client: Client

    @property
    def act(self) -> Any:
        """The method that does what a request names."""
        return stubs().BehaviourServiceStub(self.channel).Act

    def request(self, behaviour: str, payload: bytes = b"", **more: Any) -> Any:
        """A request for a behaviour."""
        return messages().ActRequest(
            behaviour=behaviour, id=uuid.uuid4().hex, payload=payload, **more
        )

    async def error(self, behaviour: str, payload: bytes = b"", **options: Any) -> Any:
        """The error of a call, raised and by a future; both say the same."""
        options = {"timeout": TIMEOUT_S, **options}

        def case() -> Any:
            with pytest.raises(grpc.RpcError) as raised:
                self.act(self.request(behaviour, payload), **options)
            future = self.act.future(self.request(behaviour, payload), **options)
            assert future.exception().code() is future.code()
            assert told(future) == told(raised.value)
            return raised.value

        return await asyncio.to_thread(case)


def told(call: Any) -> tuple[Any, ...]:
    """What a call says of its end."""
    return call.code(), call.details(), *map(tuple, (call.trailing_metadata() or ()))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WAYS)
async def blocking(request: pytest.FixtureRequest) -> AsyncIterator[Blocking]:
    """Each way in turn, to one kind of server."""
    path = next(path for path in PATHS if path.name == "plain")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(path))
        channel = stack.enter_context(_channel(request.param, client))
        yield Blocking(way=request.param, channel=channel, client=client)


def _channel(way: str, client: Client) -> grpc.Channel:
    address, lanes = client.places.address, tuple(client.places.lanes)
    if way == REFERENCE:
        return grpc.insecure_channel(address)
    folder = Path(lanes[0].partition(":")[2]).parent
    tls = LanesAlone(certificate(folder))
    return BlockingChannel(Endpoint(address, lanes), carriers=(way,), tls=tls)


async def test_the_way_is_the_one_that_is_meant(blocking: Blocking) -> None:
    """The server sees lanes over Unix sockets as such, TLS by its security."""
    request = blocking.request("who")
    await asyncio.to_thread(blocking.act, request, timeout=TIMEOUT_S)
    peer = await blocking.client.noted(request, "peer")
    auth = await blocking.client.noted(request, "auth")

    assert peer.startswith("unix:") == (blocking.way == "unix")
    assert ("ssl" in str(auth)) == (blocking.way == "tls")


@pytest.mark.parametrize("size", [0, 1, 20_000, 100_000, 3 << 20])
async def test_replies_of_any_size(blocking: Blocking, size: int) -> None:
    """They come whole, also when they travel in pieces."""
    request = blocking.request("echo", size=size)
    response = await asyncio.to_thread(blocking.act, request, timeout=TIMEOUT_S)
    assert len(response.payload) == size


@pytest.mark.parametrize("size", [1, 65_000, 70_000, 1 << 20])
async def test_requests_of_any_size(blocking: Blocking, size: int) -> None:
    """Large ones go the ordinary way of the same channel."""
    request = blocking.request("echo", bytes(size))
    response = await asyncio.to_thread(blocking.act, request, timeout=TIMEOUT_S)
    assert response.payload == bytes(size)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
async def test_status_codes(blocking: Blocking, code: grpc.StatusCode) -> None:
    """Each arrives with its message and the metadata that belong to it."""
    error = await blocking.error("abort", code.name.encode())

    assert (error.code(), error.details()) == (code, f"details of {code.name}")
    assert {*map(tuple, error.trailing_metadata())} >= {*ABORTED_WITH}


async def test_rich_statuses(blocking: Blocking) -> None:
    """Details in binary metadata come through unchanged."""
    error = await blocking.error("abort_richly")
    assert RICH[0] in [*map(tuple, error.trailing_metadata())]


async def test_methods_that_nobody_serves(blocking: Blocking) -> None:
    """They are UNIMPLEMENTED."""

    def case() -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            stubs().InteropServiceStub(blocking.channel).UnimplementedCall(messages().Empty())
        return caught.value

    assert (await asyncio.to_thread(case)).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_metadata_both_ways(blocking: Blocking) -> None:
    """Text and bytes, sent and answered, over `with_call` and futures."""
    sent = ((INITIAL, "initial"), (TRAILING, b"\xab\xff"))
    request = messages().UnaryRequest(response_size=3)

    def case() -> list[Any]:
        call = stubs().InteropServiceStub(blocking.channel).UnaryCall
        _, ended = call.with_call(request, metadata=sent, timeout=TIMEOUT_S)
        future = call.future(request, metadata=sent, timeout=TIMEOUT_S)
        assert future.initial_metadata() is not None  # which is waited for
        future.result()
        return [ended, future]

    for ended in await asyncio.to_thread(case):
        assert sent[0] in [*map(tuple, ended.initial_metadata())]
        assert sent[1] in [*map(tuple, ended.trailing_metadata())]
        assert ended.code() is grpc.StatusCode.OK
        assert not ended.is_active()


async def test_deadlines(blocking: Blocking) -> None:
    """The caller is told in time; the server is told to stop."""
    request = blocking.request("hold")

    def case() -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            blocking.act(request, timeout=0.2)
        return caught.value

    error = await asyncio.to_thread(case)
    assert (error.code(), error.details()) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "Deadline Exceeded",
    )
    await blocking.client.noted(request, "cancelled")


async def test_cancellation(blocking: Blocking) -> None:
    """It is final for the caller at once, and reaches the handler."""
    request = blocking.request("hold")
    future = blocking.act.future(request, timeout=TIMEOUT_S)
    await blocking.client.noted(request, "started")

    assert (future.cancel(), future.cancelled(), future.done()) == (True, True, True)
    assert future.code() is grpc.StatusCode.CANCELLED
    assert future.details() == "Locally cancelled by application!"
    with pytest.raises(grpc.FutureCancelledError):
        future.result()
    await blocking.client.noted(request, "cancelled")


async def test_callbacks(blocking: Blocking) -> None:
    """They get the future when it has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    request = blocking.request("hold", b"held")
    future = blocking.act.future(request, timeout=TIMEOUT_S)
    future.add_done_callback(lambda given: loop.call_soon_threadsafe(ended.set))
    with pytest.raises(grpc.FutureTimeoutError):
        await asyncio.to_thread(future.result, timeout=0.01)
    assert future.is_active()
    await blocking.client.release(request)

    await ended.wait()
    assert future.result().payload == b"held"


_MISTAKES: dict[str, Callable[[Any], Any]] = {
    "no message": lambda act: act("no message", timeout=TIMEOUT_S),
    "bad key": lambda act: act(messages().ActRequest(), metadata=(("Bad Key", "x"),)),
}


@pytest.mark.parametrize("mistake", _MISTAKES)
async def test_mistakes_of_the_caller(blocking: Blocking, mistake: str) -> None:
    """They are INTERNAL, as grpc has it."""

    def case() -> Any:
        with pytest.raises(grpc.RpcError) as caught:
            _MISTAKES[mistake](blocking.act)
        return caught.value

    assert (await asyncio.to_thread(case)).code() is grpc.StatusCode.INTERNAL


async def test_a_closed_channel(blocking: Blocking) -> None:
    """It refuses calls as grpc's does."""
    channel = _channel(blocking.way, blocking.client)
    act = stubs().BehaviourServiceStub(channel).Act
    await asyncio.to_thread(act, blocking.request("echo"), timeout=TIMEOUT_S)
    channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        act(blocking.request("echo"))
