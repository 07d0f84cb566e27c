"""How handlers end calls: by abort, by code, by exception, by an answer that is none."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import grpc

from tests.conformance.calls.contract import messages
from tests.conformance.calls.notes import Notes

TRAILING: Final = (("x-text", "one"), ("x-text", "two"), ("x-bytes-bin", b"\x00\xff,"))
RICH: Final = (("grpc-status-details-bin", bytes(range(256))),)
"""Stands for a serialised `google.rpc.Status`: any bytes must come through."""


async def abort(request: Any, context: Any, notes: Notes) -> None:
    """Abort with the code named by the payload, details and metadata."""
    code = grpc.StatusCode[request.payload.decode()]
    await context.abort(code, f"details of {code.name}", TRAILING)


async def abort_bare(request: Any, context: Any, notes: Notes) -> None:
    await context.abort(grpc.StatusCode.NOT_FOUND)


async def abort_richly(request: Any, context: Any, notes: Notes) -> None:
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "rich", RICH)


class _Status(NamedTuple):
    """As `grpc_status.rpc_status.to_status` answers it."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: Any


async def abort_with_status(request: Any, context: Any, notes: Notes) -> None:
    status = _Status(grpc.StatusCode.FAILED_PRECONDITION, "rich", RICH)
    await context.abort_with_status(status)


async def abort_and_clean_up(request: Any, context: Any, notes: Notes) -> None:
    """Await more after the abort, as the end of a transaction does."""
    try:
        await context.abort(grpc.StatusCode.ABORTED, "final")
    finally:
        notes("cleaning up")
        await notes.released()


async def abort_with_what_was_set(request: Any, context: Any, notes: Notes) -> None:
    """Details and metadata set before stand when abort names none."""
    context.set_details("set before")
    context.set_trailing_metadata(TRAILING)
    await context.abort(grpc.StatusCode.ABORTED)


async def abort_over_what_was_set(request: Any, context: Any, notes: Notes) -> None:
    context.set_code(grpc.StatusCode.INTERNAL)
    context.set_details("set before")
    context.set_trailing_metadata((("x-before", "1"),))
    await context.abort(grpc.StatusCode.ABORTED, "said by abort", TRAILING)


async def abort_and_answer(request: Any, context: Any, notes: Notes) -> bytes:
    """Suppress the abort and answer: the abort is final."""
    try:
        await context.abort(grpc.StatusCode.ABORTED, "final")
    except BaseException as error:
        notes("raised", [type(error).__name__, isinstance(error, Exception)])
    return b"an answer"


async def abort_and_raise(request: Any, context: Any, notes: Notes) -> None:
    try:
        await context.abort(grpc.StatusCode.ABORTED, "final")
    finally:
        raise ValueError("another")


async def abort_twice(request: Any, context: Any, notes: Notes) -> None:
    try:
        await context.abort(grpc.StatusCode.ABORTED, "first")
    except BaseException as aborted:
        try:
            await context.abort(grpc.StatusCode.INTERNAL, "second")
        except BaseException as error:
            notes("raised", [type(error).__name__, str(error)])
        raise aborted from None


async def abort_ok(request: Any, context: Any, notes: Notes) -> None:
    await context.abort(grpc.StatusCode.OK, "well")


async def set_code(request: Any, context: Any, notes: Notes) -> bytes:
    """Set code and details, then return an answer that is discarded."""
    context.set_code(grpc.StatusCode[request.payload.decode()])
    context.set_details("set")
    context.set_trailing_metadata(TRAILING)
    notes("set", [context.code().name, context.details(), _pairs(context.trailing_metadata())])
    return b"discarded"


async def set_integer(request: Any, context: Any, notes: Notes) -> bytes:
    context.set_code(grpc.StatusCode.DATA_LOSS.value[0])
    return b"discarded"


async def set_details_alone(request: Any, context: Any, notes: Notes) -> bytes:
    context.set_details("told with OK")
    context.set_trailing_metadata(TRAILING)
    return b"kept"


async def set_code_and_raise(request: Any, context: Any, notes: Notes) -> None:
    """A code set before an exception stays, the details do not."""
    context.set_code(grpc.StatusCode.OUT_OF_RANGE)
    context.set_details("set")
    context.set_trailing_metadata(TRAILING)
    raise LookupError("nothing there")


async def set_trailing_twice(request: Any, context: Any, notes: Notes) -> bytes:
    context.set_trailing_metadata((("x-first", "1"),))
    context.set_trailing_metadata((("x-second", "2"),))
    return b""


async def raise_error(request: Any, context: Any, notes: Notes) -> None:
    raise ValueError(request.payload.decode())


async def raise_rpc_error(request: Any, context: Any, notes: Notes) -> None:
    """As a handler does that lets the error of a call of its own through."""
    empty = grpc.aio.Metadata()
    raise grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, empty, empty, details="elsewhere")


async def raise_no_text(request: Any, context: Any, notes: Notes) -> None:
    """Raise what quotes a name that is no text, as file systems have them."""
    raise FileNotFoundError(b"\xff.txt".decode(errors="surrogateescape"))


async def raise_long(request: Any, context: Any, notes: Notes) -> None:
    raise ValueError("long " * 5_000)


async def raise_timeout(request: Any, context: Any, notes: Notes) -> None:
    raise TimeoutError


async def raise_cancelled(request: Any, context: Any, notes: Notes) -> None:
    raise asyncio.CancelledError


async def answer_none(request: Any, context: Any, notes: Notes) -> None:
    return None


async def answer_another_type(request: Any, context: Any, notes: Notes) -> Any:
    return messages().InputResponse(aggregated_size=1)


async def answer_no_message(request: Any, context: Any, notes: Notes) -> Any:
    return 42


def _pairs(metadata: Any) -> list[list[str]]:
    return [[key, str(value)] for key, value in metadata]
