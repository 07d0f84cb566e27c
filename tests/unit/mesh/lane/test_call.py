"""The call object in each state of its life."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from mesh.lane.call import LATE_TEXT, UnaryCall
from mesh.lane.frames import EndFrame, LaneError
from mesh.lane.outcome import CANCELLED_BY_US

CODE = grpc.StatusCode
INITIAL, TRAILING = [("i", b"1")], [("t-bin", b"\xff")]


class Holder:
    """Notes which calls were given up."""

    def __init__(self) -> None:
        self.given_up: list[UnaryCall] = []
        self.connected: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()

    def cancelled(self, call: UnaryCall) -> None:
        self.given_up.append(call)


def make(deserialize: Callable[[bytes], Any] | None = None, due: float = float("inf")) -> UnaryCall:
    call = UnaryCall("/t.T/Do", b"request", deserialize, due)
    call.holder = Holder()
    return call


def ending(code: int = 5) -> EndFrame:
    return 1, code, "no such thing", INITIAL, TRAILING, b""


def end_well(call: UnaryCall) -> None:
    call.answered(b"reply")


def end_badly(call: UnaryCall) -> None:
    call.ended(ending())


def give_up(call: UnaryCall) -> None:
    call.cancel()


def be_late(call: UnaryCall) -> None:
    call.late()


ENDS = [
    (end_well, CODE.OK, ""),
    (end_badly, CODE.NOT_FOUND, "no such thing"),
    (give_up, CODE.CANCELLED, CANCELLED_BY_US),
    (be_late, CODE.DEADLINE_EXCEEDED, LATE_TEXT),
]
every_end = pytest.mark.parametrize(("end", "code", "details"), ENDS)


@every_end
async def test_what_is_asked_of_a_call_waits_for_its_end(
    end: Callable[[UnaryCall], None], code: grpc.StatusCode, details: str
) -> None:
    """Asked before and after, it says the same."""
    call = make()
    asked: list[Any] = [
        call.code(),
        call.details(),
        call.initial_metadata(),
        call.trailing_metadata(),
    ]
    before = [asyncio.ensure_future(each) for each in asked]
    await asyncio.sleep(0)
    assert not any(task.done() for task in before)
    assert not call.done()
    assert not call.cancelled()
    end(call)
    await asyncio.sleep(0)
    got: list[Any] = [await task for task in before]
    assert got[:2] == [code, details]
    assert got[:2] == [await call.code(), await call.details()]
    has_metadata = code is CODE.NOT_FOUND
    assert tuple(got[2]) == ((("i", "1"),) if has_metadata else ())
    assert tuple(got[3]) == ((("t-bin", b"\xff"),) if has_metadata else ())
    assert call.done()
    assert call.cancelled() == (code is CODE.CANCELLED)
    assert bool(await call.debug_error_string()) == (code is not CODE.OK)


@every_end
async def test_awaiting_says_how_it_ended(
    end: Callable[[UnaryCall], None], code: grpc.StatusCode, details: str
) -> None:
    """Before and after the end, and more than once."""
    call = make()
    first = asyncio.ensure_future(_outcome(call))
    await asyncio.sleep(0)
    end(call)
    outcomes = [await first, await _outcome(call), await _outcome(call)]
    expected: Any = {CODE.OK: b"reply", CODE.CANCELLED: "cancelled"}.get(code, (code, details))
    assert outcomes == [expected] * 3


async def _outcome(call: UnaryCall) -> Any:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    except asyncio.CancelledError:
        return "cancelled"


@every_end
async def test_a_call_that_has_ended_cannot_be_given_up(
    end: Callable[[UnaryCall], None], code: grpc.StatusCode, details: str
) -> None:
    """Nothing changes, and nobody is told."""
    call = make()
    end(call)
    given_up = list(call.holder.given_up)  # type: ignore[union-attr]
    assert not call.cancel()
    call.late()
    assert await call.code() is code
    assert call.holder.given_up == given_up  # type: ignore[union-attr]


@every_end
async def test_callbacks_are_called_once_with_the_call(
    end: Callable[[UnaryCall], None], code: grpc.StatusCode, details: str
) -> None:
    """Those that come before the end after it, those that come later at once."""
    call = make()
    called: list[Any] = []
    call.add_done_callback(called.append)
    call.add_done_callback(called.append)
    end(call)
    await asyncio.sleep(0)
    assert called == [call, call]
    call.add_done_callback(called.append)
    assert called == [call] * 3


async def test_giving_a_call_up_tells_who_holds_it() -> None:
    """So that the server can stop."""
    call = make()
    assert call.cancel()
    assert call.holder.given_up == [call]  # type: ignore[union-attr]


async def test_a_call_that_nobody_holds_can_be_given_up() -> None:
    """It is between two lanes."""
    call = make()
    call.holder = None
    assert call.cancel()
    assert call.cancelled()


async def test_two_tasks_await_one_call() -> None:
    """Both get the response, which is read once."""
    reads: list[bytes] = []
    call = make(lambda raw: reads.append(raw) or raw.upper())  # type: ignore[func-returns-value]
    tasks = [asyncio.ensure_future(_outcome(call)) for _ in range(2)]
    await asyncio.sleep(0)
    call.answered(b"reply")
    assert [await task for task in tasks] == [b"REPLY"] * 2
    assert reads == [b"reply"]


async def test_cancelling_one_of_two_who_await_ends_the_call() -> None:
    """As in grpc.aio: the call is cancelled, for both."""
    call = make()
    tasks = [asyncio.ensure_future(_outcome(call)) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert [await task for task in tasks] == ["cancelled"] * 2
    assert call.cancelled()


async def test_who_asks_for_the_code_may_be_cancelled_without_harm() -> None:
    """The call goes on."""
    call = make()
    asks = asyncio.ensure_future(call.code())
    await asyncio.sleep(0)
    asks.cancel()
    await asyncio.wait([asks])
    assert not call.done()
    call.answered(b"reply")
    assert await call == b"reply"


async def test_a_response_that_cannot_be_read_is_an_internal_error() -> None:
    """The cause is kept; awaiting it again says the same."""

    def fail(_raw: bytes) -> Any:
        raise ValueError("no message")

    call = make(fail)
    call.answered(b"reply")
    for _ in range(2):
        assert (await _outcome(call))[0] is CODE.INTERNAL


async def test_pieces_and_the_rest_make_the_reply() -> None:
    """In the order in which they came."""
    call = make()
    call.pieces = [b"a", b"b"]
    call.answered(b"c")
    assert await call == b"abc"


async def test_pieces_of_a_call_that_failed_are_dropped() -> None:
    """They are no answer."""
    call = make()
    call.pieces = [b"a"]
    call.late()
    assert call.pieces is None


async def test_a_status_that_nobody_knows_is_unknown() -> None:
    """A later version may have more."""
    call = make()
    call.ended(ending(code=200))
    assert await call.code() is CODE.UNKNOWN


async def test_metadata_that_is_no_text_is_refused_before_the_call_ends() -> None:
    """Who holds it can still end it."""
    call = make()
    with pytest.raises(LaneError):
        call.ended((1, 5, "", [], [("t", b"\xff")], b""))
    assert not call.done()
    call.failed(CODE.UNAVAILABLE, "lost")
    assert await _outcome(call) == (CODE.UNAVAILABLE, "lost")


async def test_the_time_that_remains_is_never_less_than_none() -> None:
    """And None when there is no deadline."""
    assert make().time_remaining() is None
    assert make(due=0.0).time_remaining() == 0.0


async def test_what_was_measured_is_told_once_for_a_call_that_was_sent() -> None:
    """One that never left has taken no time of the server's."""
    told: list[float] = []
    for began in (0.0, 1.0):
        call = make()
        call.observe = told.append
        call.began = began
        call.answered(b"")
    assert len(told) == 1


async def test_waiting_for_the_connection_tells_of_a_failure() -> None:
    """And returns when the lane stands."""
    call = make()
    waits = asyncio.ensure_future(call.wait_for_connection())
    await asyncio.sleep(0)
    assert not waits.done()
    call.holder.connected.set_result(None)  # type: ignore[union-attr]
    await waits
    await call.wait_for_connection()
    call.failed(CODE.UNAVAILABLE, "lost")
    with pytest.raises(grpc.aio.AioRpcError):
        await call.wait_for_connection()


@every_end
async def test_waiting_for_the_connection_ends_with_the_call(
    end: Callable[[UnaryCall], None], code: grpc.StatusCode, details: str
) -> None:
    """Though no lane opened, or nobody knows when one does: between lanes, the ordinary way."""
    for connected in (asyncio.get_running_loop().create_future(), None):
        call = make()
        call.holder.connected = connected  # type: ignore[misc, union-attr]
        waits = asyncio.ensure_future(call.wait_for_connection())
        await asyncio.sleep(0)
        assert not waits.done()
        end(call)
        await asyncio.wait([waits])
        if code is CODE.OK:
            assert waits.result() is None
        elif code is CODE.CANCELLED:
            assert waits.cancelled()
        else:
            assert isinstance(waits.exception(), grpc.aio.AioRpcError)


async def test_who_waits_for_the_connection_follows_the_call() -> None:
    """A lane that did not open gives the call to another, whose opening counts."""
    call = make()
    waits = asyncio.ensure_future(call.wait_for_connection())
    await asyncio.sleep(0)
    first, call.holder = call.holder, Holder()
    first.connected.set_result(None)  # type: ignore[union-attr]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waits.done()
    call.holder.connected.set_result(None)  # type: ignore[union-attr]
    await waits


async def test_who_waits_for_the_connection_may_be_cancelled_without_harm() -> None:
    """The call goes on, and so do the others on the lane."""
    call = make()
    waits = asyncio.ensure_future(call.wait_for_connection())
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.wait([waits])
    assert not call.holder.connected.done()  # type: ignore[union-attr]
    call.answered(b"reply")
    assert await call == b"reply"


async def test_it_is_a_unary_call_of_grpc() -> None:
    """Programs ask by `isinstance`."""
    assert isinstance(make(), grpc.aio.UnaryUnaryCall)
