"""grpcio's blocking client, as scripts and other programs have it, against both servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio

from tests.conformance.calls.contract import messages, stubs
from tests.conformance.calls.interop import INITIAL, TRAILING
from tests.conformance.calls.paths import PATHS, Path, connected
from tests.conformance.calls.peer import MAX_MESSAGE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVERS = [path for path in PATHS if not path.is_mesh]


@dataclass(frozen=True)
class Blocking:
    """Stubs on a blocking channel; each case runs in a thread beside the server's loop."""

    interop: Any
    behaviour: Any

    async def run(self, case: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(case)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=SERVERS, ids=lambda path: path.name
)
async def blocking(request: pytest.FixtureRequest) -> AsyncIterator[Blocking]:
    """A blocking client of a stock server, and of one with lanes."""
    path: Path = request.param
    options = (("grpc.max_receive_message_length", MAX_MESSAGE),)
    async with connected(path) as client:
        with grpc.insecure_channel(client.places.address, options=options) as channel:
            yield Blocking(
                stubs().InteropServiceStub(channel), stubs().BehaviourServiceStub(channel)
            )


async def test_unary_calls(blocking: Blocking) -> None:
    """Small and large messages are answered."""
    payload = messages().Payload(body=bytes(271_828))
    request = messages().UnaryRequest(response_size=314_159, payload=payload)

    def case() -> Any:
        blocking.interop.EmptyCall(messages().Empty(), timeout=10)
        return blocking.interop.UnaryCall(request, timeout=10)

    response = await blocking.run(case)
    assert response.payload.body == bytes(314_159)


async def test_streams(blocking: Blocking) -> None:
    """Requests, replies, and both at once are streamed."""
    sizes = (31_415, 9, 2_653)
    payload = messages().Payload(body=bytes(10))
    asked = [messages().OutputRequest(response_sizes=[size], payload=payload) for size in sizes]

    def case() -> tuple[int, list[int]]:
        inputs = iter([messages().InputRequest(payload=payload)] * 3)
        summed = blocking.interop.StreamingInputCall(inputs, timeout=10)
        both = blocking.interop.FullDuplexCall(iter(asked), timeout=10)
        return summed.aggregated_size, [len(reply.payload.body) for reply in both]

    assert await blocking.run(case) == (30, [*sizes])


async def test_metadata_and_status(blocking: Blocking) -> None:
    """Metadata come back; code and message of a failure arrive."""
    sent = ((INITIAL, "initial"), (TRAILING, b"\xab\xff"))
    status = messages().EchoStatus(code=2, message="☺ test\r\n")

    def case() -> Any:
        _, call = blocking.interop.UnaryCall.with_call(
            messages().UnaryRequest(), metadata=sent, timeout=10
        )
        with pytest.raises(grpc.RpcError) as caught:
            blocking.interop.UnaryCall(messages().UnaryRequest(response_status=status), timeout=10)
        return call, caught.value

    call, error = await blocking.run(case)
    assert sent[0] in tuple(call.initial_metadata())
    assert sent[1] in tuple(call.trailing_metadata())
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, status.message)


async def test_unimplemented(blocking: Blocking) -> None:
    """A method that nobody serves is UNIMPLEMENTED."""

    def case() -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as caught:
            blocking.interop.UnimplementedCall(messages().Empty(), timeout=10)
        code: grpc.StatusCode = caught.value.code()
        return code

    assert await blocking.run(case) is grpc.StatusCode.UNIMPLEMENTED


async def test_deadline_and_cancellation(blocking: Blocking) -> None:
    """Both end the call."""
    request = messages().ActRequest(behaviour="hold", id="blocking")

    def case() -> list[grpc.StatusCode]:
        late = blocking.behaviour.Act.future(request, timeout=0.1)
        given_up = blocking.behaviour.Act.future(request, timeout=10)
        codes = [late.code()]
        given_up.cancel()
        return [*codes, given_up.code()]

    wanted = [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED]
    assert await blocking.run(case) == wanted
