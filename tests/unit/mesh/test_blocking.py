"""Stubs call as they do on grpc's own blocking channel; unary calls go by lane."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from mesh.blocking import BlockingChannel, LaneRpcError, blocking_channel
from mesh.channel import bearer
from mesh.context import Metadata
from mesh.errors import ErrorView
from mesh.lane import Endpoint
from mesh.lane.frames import MAX_METADATA, MAX_REQUEST
from tests.unit.mesh.blocking_server import ONCE, BlockingServer, serving


@pytest.fixture(scope="module")
def server() -> Iterator[BlockingServer]:
    with serving() as server:
        yield server


@pytest.fixture
def channel(server: BlockingServer) -> Iterator[BlockingChannel]:
    with BlockingChannel(server.endpoint) as channel:
        yield channel


def failure(call: Any, *arguments: Any, **options: Any) -> Any:
    """The error of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value


def test_a_unary_call_goes_by_lane(channel: BlockingChannel) -> None:
    """The response is what the call returns."""
    assert channel.unary_unary(f"{ONCE}Way")(b"") == b"lane"


def test_serializers_are_used(channel: BlockingChannel) -> None:
    """Requests and responses are what the stub's contract says."""
    method = channel.unary_unary(f"{ONCE}Echo", str.encode, bytes.decode)
    assert method("héllo") == "héllo"


def test_with_call_answers_the_metadata(channel: BlockingChannel) -> None:
    """The call beside the response has ended, with its code and metadata."""
    response, call = channel.unary_unary(f"{ONCE}Tell").with_call(b"")

    assert (response, call.code(), call.details()) == (b"lane", grpc.StatusCode.OK, "")
    assert call.initial_metadata() == (("x-first", "1"),)
    assert call.trailing_metadata()[0].key == "x-last-bin"
    assert (call.is_active(), call.cancel(), call.time_remaining()) == (False, False, None)
    assert (call.done(), call.running(), call.cancelled()) == (True, False, False)
    assert (call.result(), call.exception(), call.traceback()) == (b"lane", None, None)


def test_a_failure_is_an_error_and_a_call(channel: BlockingChannel) -> None:
    """Programs read code, details and metadata of it, as of grpc's own."""
    error = failure(channel.unary_unary(f"{ONCE}Refuse"), b"")

    assert type(error) is LaneRpcError
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "as asked")
    trailing: Any = error.trailing_metadata()
    assert ("x-last", "1") in trailing
    assert error.initial_metadata() == ()
    assert "ABORTED" in str(error)
    assert "ABORTED" in error.debug_error_string()
    assert ErrorView.from_rpc(error).reason == "UNAVAILABLE"


@pytest.mark.parametrize("size", [MAX_REQUEST, MAX_REQUEST + 1, 1 << 20])
def test_large_requests_are_answered(channel: BlockingChannel, size: int) -> None:
    """What is too long for a lane goes the ordinary way of the same channel."""
    assert channel.unary_unary(f"{ONCE}Echo")(bytes(size)) == bytes(size)


def test_much_metadata_goes_the_ordinary_way(server: BlockingServer) -> None:
    """Lanes bound the metadata of a call; without them gRPC decides."""
    with BlockingChannel(server.endpoint) as channel:
        method = channel.unary_unary(f"{ONCE}Way")
        assert method(b"", metadata=(("x-much", "y" * (MAX_METADATA - 1_000)),)) == b"lane"
        error = failure(method, b"", metadata=(("x-much", "y" * MAX_METADATA),))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_compressed_calls_go_the_ordinary_way(channel: BlockingChannel) -> None:
    """Compression is a matter of gRPC."""
    method = channel.unary_unary(f"{ONCE}Way")
    assert method(b"", compression=grpc.Compression.Gzip) == b"plain"


def test_streams_go_the_ordinary_way(channel: BlockingChannel) -> None:
    """All three kinds work on the same channel, with metadata and time-out by place or name."""
    assert [*channel.unary_stream(f"{ONCE}Count")(b"3", 5, (("x-a", "b"),))] == [b"0", b"1", b"2"]
    summed = channel.stream_unary(f"{ONCE}Sum")
    assert summed(iter([b"1", b"2"]), timeout=5) == b"3"
    assert summed.with_call(iter([b"1", b"2"]))[0] == b"3"
    assert summed.future(iter([b"1", b"2"])).result() == b"3"
    assert [*channel.stream_stream(f"{ONCE}Back")(iter([b"1", b"2"]))] == [b"1", b"2"]


def test_proofs_are_asked_at_each_call(server: BlockingServer) -> None:
    """Every call carries what proves the caller at that moment, and its own metadata."""
    tokens = iter(["one", "two", "three"])
    server.metadata.clear()

    def proofs() -> Metadata:
        return bearer(next(tokens))()

    with BlockingChannel(server.endpoint, proofs) as channel:
        method = channel.unary_unary(f"{ONCE}Way")
        method(b"", metadata=(("x-own", "1"),))
        method(b"")
        method(b"", compression=grpc.Compression.Gzip)

    sent = [metadata["authorization"] for metadata in server.metadata]
    assert sent == ["Bearer one", "Bearer two", "Bearer three"]
    assert server.metadata[0]["x-own"] == "1"


def test_calls_are_bounded_by_default(server: BlockingServer) -> None:
    """A call that states no time-out has the channel's; the server is told to give it up."""
    server.cancelled.clear()
    with BlockingChannel(server.endpoint, timeout_s=0.1) as channel:
        error = failure(channel.unary_unary(f"{ONCE}Hold"), b"")

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.cancelled.wait(30)


@pytest.mark.parametrize("timeout", [0.1, 0, -1])
def test_a_call_ends_with_its_own_time_out(channel: BlockingChannel, timeout: float) -> None:
    """Whatever the server does."""
    error = failure(channel.unary_unary(f"{ONCE}Hold"), b"", timeout=timeout)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_request_that_cannot_be_serialised_is_internal(channel: BlockingChannel) -> None:
    """As grpc has it."""
    error = failure(channel.unary_unary(f"{ONCE}Echo", str.encode), 7)
    assert error.code() is grpc.StatusCode.INTERNAL


def test_an_answer_that_cannot_be_read_is_internal(channel: BlockingChannel) -> None:
    """The error has what the reader raised as its cause."""
    error = failure(channel.unary_unary(f"{ONCE}Echo", None, int), b"seven")
    assert error.code() is grpc.StatusCode.INTERNAL
    assert isinstance(error.__cause__, ValueError)


def test_metadata_that_cannot_be_sent_are_refused(channel: BlockingChannel) -> None:
    """As grpc has it."""
    error = failure(channel.unary_unary(f"{ONCE}Way"), b"", metadata=(("Bad Key", "x"),))
    assert error.code() is grpc.StatusCode.INTERNAL


def test_no_target_is_unavailable() -> None:
    """The error says which service has no instance."""
    with BlockingChannel(list, service="customer") as channel:
        error = failure(channel.unary_unary(f"{ONCE}Way"), b"")

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert ErrorView.from_rpc(error).reason == "UNAVAILABLE"
    assert "customer" in error.details()


@pytest.mark.parametrize("ways", [(), ("unix:/nobody/is.here",), ("tls:127.0.0.1:1",)])
def test_a_target_without_lanes_is_called_plainly(
    server: BlockingServer, ways: tuple[str, ...]
) -> None:
    """It has none, or none that can be reached from here."""
    with BlockingChannel(lambda: Endpoint(server.address, ways)) as channel:
        assert channel.unary_unary(f"{ONCE}Way")(b"") == b"plain"


def test_an_address_is_called_plainly(server: BlockingServer) -> None:
    """A text is an ordinary address."""
    with blocking_channel(server.address) as channel:
        method: Any = channel.unary_unary(f"{ONCE}Way")
        assert method(b"") == b"plain"


def test_what_the_targets_raise_is_raised() -> None:
    """In the thread that calls."""

    def targets() -> str:
        raise LookupError("no registry")

    with BlockingChannel(targets) as channel, pytest.raises(LookupError):
        channel.unary_unary(f"{ONCE}Way")(b"")


def test_grpcs_interceptors_and_readiness_work(channel: BlockingChannel) -> None:
    """The channel takes the place of grpc's own."""

    class Marking(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return continuation(details, request + b"!")

    echo: Any = grpc.intercept_channel(channel, Marking()).unary_unary(f"{ONCE}Echo")
    assert echo(b"hey") == b"hey!"
    grpc.channel_ready_future(channel).result(timeout=30)


async def test_calls_block_within_a_running_loop(server: BlockingServer) -> None:
    """As in a notebook: the loop of this thread is none of ours."""
    with BlockingChannel(server.endpoint) as channel:
        assert channel.unary_unary(f"{ONCE}Way")(b"") == b"lane"
        assert await asyncio.to_thread(channel.unary_unary(f"{ONCE}Way"), b"") == b"lane"


def test_many_threads_get_their_own_answers(channel: BlockingChannel) -> None:
    """None is lost, none is another's."""
    echo = channel.unary_unary(f"{ONCE}Echo")
    payloads = [str(number).encode() for number in range(2_000)]
    with ThreadPoolExecutor(16) as threads:
        assert [*threads.map(echo, payloads)] == payloads
