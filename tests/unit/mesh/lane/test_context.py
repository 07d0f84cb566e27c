"""What a handler sees of a call that came over a lane."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mesh.lane.context import LaneContext
from mesh.telemetry import TraceContext

CODE = grpc.StatusCode
LANE = SimpleNamespace(peer="unix:", auth_context={"engine_caller": [b"gateway"]})
TRACE = TraceContext.of(1, 2, sampled=True)


def make(*, trace: bytes = b"", due: float = float("inf")) -> LaneContext:
    return LaneContext(LANE, 1, {"user": "a"}, [("user", "a")], due, trace)


def test_a_handler_sees_who_calls_and_with_what() -> None:
    """As over plain gRPC."""
    context = make()
    assert context.peer() == "unix:"
    assert context.auth_context() == {"engine_caller": [b"gateway"]}
    assert context.invocation_metadata() == (("user", "a"),)
    assert context.peer_identities() is None
    assert context.peer_identity_key() is None
    assert isinstance(context, grpc.aio.ServicerContext)


@pytest.mark.parametrize(
    ("trace", "expected"), [(TRACE.raw, TRACE), (b"", None), (b"nonsense", None)]
)
def test_a_trace_is_read_and_shown_as_metadata(trace: bytes, expected: Any) -> None:
    """It travels apart from it, and in fewer bytes."""
    context = make(trace=trace)
    assert context.trace == expected
    shown = dict(context.invocation_metadata()).get("traceparent")
    assert shown == (expected.header if expected else None)


def test_time_remains_until_the_deadline() -> None:
    """None without one, and never less than nothing."""
    assert make().time_remaining() is None
    assert make(due=0.0).time_remaining() == 0.0


async def test_what_is_aborted_stays_so() -> None:
    """Later settings, and a second abort, change nothing."""
    context = make()
    with pytest.raises(grpc.aio.AbortError):
        await context.abort(CODE.NOT_FOUND, "no", (("k", "v"),))
    context.set_code(CODE.OK)
    context.set_details("yes")
    context.set_trailing_metadata((("k", "w"),))
    context.fail(CODE.INTERNAL, "late")
    with pytest.raises(grpc.aio.UsageError):
        await context.abort(CODE.INTERNAL)
    assert context.ending() == (5, "no", [], [("k", b"v")])
    assert not context.is_plain


async def test_aborting_with_ok_is_no_success() -> None:
    """As in grpc.aio."""
    context = make()
    with pytest.raises(grpc.aio.AbortError):
        await context.abort(CODE.OK, "")
    assert context.code() is CODE.UNKNOWN


async def test_initial_metadata_is_sent_once() -> None:
    """Together with the reply."""
    context = make()
    await context.send_initial_metadata((("i", "1"),))
    with pytest.raises(grpc.aio.UsageError):
        await context.send_initial_metadata((("i", "2"),))
    assert context.ending()[2] == [("i", b"1")]


@pytest.mark.parametrize(
    "metadata",
    [
        (("Upper", "v"),),
        (("", "v"),),
        (("k", "snow\N{SNOWMAN}"),),
        (("k", b"\xff"),),
        (("k", "two\nlines"),),
        (("k-bin", "text"),),
        (("k", 1),),
        ("pair",),
    ],
)
async def test_metadata_that_cannot_be_sent_is_refused_where_it_is_given(metadata: Any) -> None:
    """The handler learns it, and no batch is spoilt."""
    context = make()
    with pytest.raises((ValueError, TypeError)):
        context.set_trailing_metadata(metadata)
    with pytest.raises((ValueError, TypeError)):
        await context.send_initial_metadata(metadata)
    assert context.is_plain


def test_a_call_that_says_nothing_but_its_reply_is_plain() -> None:
    """Then a shorter frame will do."""
    context = make()
    assert context.is_plain
    context.set_trailing_metadata((("k", "v"),))
    assert not context.is_plain


def test_callbacks_are_called_when_the_call_has_ended() -> None:
    """With the context, once."""
    context, called = make(), list[Any]()
    context.add_done_callback(called.append)
    assert not context.done()
    context.finished()
    assert called == [context]
    assert context.done()


async def test_a_unary_call_has_no_stream() -> None:
    """A handler that tries is told so."""
    with pytest.raises(grpc.aio.UsageError):
        await make().read()
    with pytest.raises(grpc.aio.UsageError):
        await make().write(b"")
