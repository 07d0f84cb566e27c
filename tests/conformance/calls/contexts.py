"""What handlers read from their context and send by it."""

from __future__ import annotations

from typing import Any, Final

import grpc

from tests.conformance.calls.notes import Notes


async def metadata(request: Any, context: Any, notes: Notes) -> bytes:
    """Note the metadata that came; bytes as a list of numbers."""
    given = context.invocation_metadata()
    pairs = [[key, value if isinstance(value, str) else [*value]] for key, value in given]
    notes("metadata", [type(given).__name__, pairs])
    return b""


async def who(request: Any, context: Any, notes: Notes) -> bytes:
    """Note who calls, as far as the transport says."""
    identities = context.peer_identities()
    notes("peer", context.peer())
    notes("key", context.peer_identity_key())
    notes("identities", None if identities is None else [str(item) for item in identities])
    auth = context.auth_context()
    notes("auth", {key: [value.decode() for value in values] for key, values in auth.items()})
    return b""


async def time(request: Any, context: Any, notes: Notes) -> bytes:
    notes("remaining", context.time_remaining())
    return b""


async def initial(request: Any, context: Any, notes: Notes) -> bytes:
    """Send initial metadata, wait for the test, answer."""
    await context.send_initial_metadata((("x-early", "yes"), ("x-early-bin", b"\x00\x01")))
    notes("sent")
    await notes.released()
    return b"later"


async def initial_and_abort(request: Any, context: Any, notes: Notes) -> bytes:
    await context.send_initial_metadata((("x-early", "yes"),))
    raise ValueError("after all")


async def initial_twice(request: Any, context: Any, notes: Notes) -> bytes:
    await context.send_initial_metadata((("x-early", "first"),))
    try:
        await context.send_initial_metadata((("x-early", "second"),))
    except Exception as error:
        notes("raised", [type(error).__name__, str(error)])
    return b""


async def compress(request: Any, context: Any, notes: Notes) -> Any:
    """Ask for compression, which is a matter of the carrier."""
    context.set_compression(grpc.Compression.Gzip)
    context.disable_next_message_compression()
    return request.payload


async def refused_trailing(request: Any, context: Any, notes: Notes) -> bytes:
    """Note how metadata is refused that may not be sent."""
    for name, pairs in _REFUSED.items():
        try:
            context.set_trailing_metadata(pairs)
        except Exception as error:
            notes(name, type(error).__name__)
        else:
            notes(name)
            context.set_trailing_metadata(())
    return b""


_REFUSED: Final[dict[str, Any]] = {
    "number": (("x-key", 1),),
    "no pairs": ("x-key",),
    "none": None,
}


async def unsendable(request: Any, context: Any, notes: Notes) -> bytes:
    """Send metadata in the way that the payload names, which HTTP/2 could not carry."""
    pairs = (("x-key", b"\xff"),)
    if request.payload == b"trailing":
        context.set_trailing_metadata(pairs)
    elif request.payload == b"initial":
        await context.send_initial_metadata(pairs)
    else:
        await context.abort(grpc.StatusCode.ABORTED, "aborted", pairs)
    return b"an answer"


async def answer_metadata(request: Any, context: Any, notes: Notes) -> bytes:
    """Send both kinds, with keys among them that are of the carrier."""
    carriers = (("content-type", "mine"), ("grpc-status", "5"), ("grpc-message", "mine"))
    pairs = (("x-a", "1"), ("x-a", "2"), *carriers, ("x-b-bin", bytes(range(256))), ("x-c", ""))
    await context.send_initial_metadata(pairs)
    context.set_trailing_metadata(pairs)
    return b""


async def large_trailing(request: Any, context: Any, notes: Notes) -> bytes:
    context.set_trailing_metadata((("x-key", "x" * 20_000),))
    return b""


async def large_initial(request: Any, context: Any, notes: Notes) -> bytes:
    await context.send_initial_metadata((("x-key", "x" * 20_000),))
    return b""
