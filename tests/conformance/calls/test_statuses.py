"""How calls end as their handlers say: by abort, by code, by exception."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.conformance.calls.paths import Client
from tests.conformance.calls.raw import path as raw
from tests.conformance.calls.statuses import RICH, TRAILING

pytestmark = pytest.mark.asyncio(loop_scope="module")

Code = grpc.StatusCode
FAILURES = [code for code in Code if code is not Code.OK]
NO_MESSAGE = (
    "descriptor 'SerializeToString' for 'google._upb._message.Message' objects "
    "doesn't apply to a '{}' object"
)


async def failure(call: Any) -> tuple[grpc.StatusCode, str | None, tuple[Any, ...]]:
    """Code, details and trailing metadata of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    assert await call.code() is error.code()
    assert await call.details() == error.details()
    return error.code(), error.details(), tuple(error.trailing_metadata() or ())


def unexpected(kind: type, text: str) -> str:
    return f"Unexpected {kind}: {text}"


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
@pytest.mark.parametrize("behaviour", ["abort", "set_code"])
async def test_every_code_reaches_the_caller(
    client: Client, behaviour: str, code: grpc.StatusCode
) -> None:
    """Aborted or set, with details and trailing metadata; an answer beside it is dropped."""
    said = {"abort": f"details of {code.name}", "set_code": "set"}[behaviour]
    call = client.act(behaviour, code.name.encode())
    assert await failure(call) == (code, said, TRAILING)
    assert call.cancelled() is (code is Code.CANCELLED)


@pytest.mark.parametrize(
    ("behaviour", "wanted"),
    [
        ("abort_bare", (Code.NOT_FOUND, "", ())),
        ("abort_richly", (Code.FAILED_PRECONDITION, "rich", RICH)),
        ("abort_with_status", (Code.FAILED_PRECONDITION, "rich", RICH)),
        ("abort_with_what_was_set", (Code.ABORTED, "set before", TRAILING)),
        ("abort_over_what_was_set", (Code.ABORTED, "said by abort", TRAILING)),
        ("abort_and_answer", (Code.ABORTED, "final", ())),
        ("abort_and_raise", (Code.ABORTED, "final", ())),
        ("abort_twice", (Code.ABORTED, "first", ())),
        ("set_integer", (Code.DATA_LOSS, "", ())),
    ],
)
async def test_status_is_what_was_said_last_before_the_end(
    client: Client, behaviour: str, wanted: tuple[Any, ...]
) -> None:
    """What was set stands until abort says otherwise; after abort nothing counts."""
    assert await failure(client.act(behaviour)) == wanted


@pytest.mark.parametrize(
    ("behaviour", "wanted"),
    [
        ("abort_and_answer", ["AbortError", True]),
        ("abort_twice", ["UsageError", "Abort already called!"]),
    ],
)
async def test_abort_ends_the_handler(client: Client, behaviour: str, wanted: list[Any]) -> None:
    """It raises in the handler; calling it again is a mistake of use."""
    request = client.request(behaviour)
    await failure(client.stub.Act(request))
    assert await client.noted(request, "raised") == wanted


async def test_what_was_set_can_be_read(client: Client) -> None:
    """A handler, or what is around it, reads code, details and metadata back."""
    request = client.request("set_code", b"ABORTED")
    await failure(client.stub.Act(request))
    pairs = [[key, str(value)] for key, value in TRAILING]
    assert await client.noted(request, "set") == ["ABORTED", "set", pairs]


async def test_details_beside_ok_are_not_told(client: Client) -> None:
    """The answer stands and so do the metadata; the details are of failures."""
    call = client.act("set_details_alone")
    assert (await call).payload == b"kept"
    assert (await call.code(), await call.details()) == (Code.OK, "")
    assert tuple(await call.trailing_metadata()) == TRAILING


async def test_code_ok_may_be_set(client: Client) -> None:
    """It changes nothing."""
    assert (await client.act("set_code", b"OK")).payload == b"discarded"


async def test_last_trailing_metadata_count(client: Client) -> None:
    """Setting them again replaces them."""
    call = client.act("set_trailing_twice")
    await call
    assert tuple(await call.trailing_metadata()) == (("x-second", "2"),)


@pytest.mark.parametrize("text", ["why", "", "两行\n文字 😈"], ids=["plain", "empty", "special"])
async def test_exception_is_unknown_with_its_text(client: Client, text: str) -> None:
    """As grpcio says it: the mesh's own chain says less, but is not in these calls."""
    wanted = unexpected(ValueError, text)
    assert await failure(client.act("raise_error", text.encode())) == (Code.UNKNOWN, wanted, ())


@pytest.mark.parametrize(
    ("behaviour", "code", "text", "trailing"),
    [
        ("raise_timeout", Code.UNKNOWN, unexpected(TimeoutError, ""), ()),
        (
            "set_code_and_raise",
            Code.OUT_OF_RANGE,
            unexpected(LookupError, "nothing there"),
            TRAILING,
        ),
        ("answer_none", Code.UNKNOWN, unexpected(TypeError, NO_MESSAGE.format("NoneType")), ()),
        ("answer_no_message", Code.UNKNOWN, unexpected(TypeError, NO_MESSAGE.format("int")), ()),
    ],
)
async def test_other_exceptions(
    client: Client, behaviour: str, code: grpc.StatusCode, text: str, trailing: tuple[Any, ...]
) -> None:
    """A code set before stays; an answer that is none is an exception as well."""
    assert await failure(client.act(behaviour)) == (code, text, trailing)


async def test_error_of_a_nested_call_is_not_the_callers(client: Client) -> None:
    """An `AioRpcError` that a handler lets through is UNKNOWN, not its own code."""
    code, details, _ = await failure(client.act("raise_rpc_error"))
    assert code is Code.UNKNOWN
    assert str(details).startswith("Unexpected <class 'grpc.aio._call.AioRpcError'>: ")


async def test_answer_of_another_type_is_sent(client: Client) -> None:
    """The bytes are what counts: grpcio does not compare types, and no path does."""
    assert (await client.act("answer_another_type")).payload == b""


@pytest.mark.parametrize(
    ("behaviour", "at_once"),
    [
        ("abort_ok", Code.UNKNOWN),
        ("raise_cancelled", Code.CANCELLED),
    ],
)
async def test_handler_that_ends_without_answer_or_status(
    client: Client, behaviour: str, at_once: grpc.StatusCode
) -> None:
    """The caller gets no answer that was not given: grpcio lets him wait for his deadline."""
    differs = client.path.differs("no status")
    code, _, _ = await failure(client.act(behaviour, timeout=10.0 if differs else 0.1))
    assert code is (at_once if differs else Code.DEADLINE_EXCEEDED)


async def test_message_that_is_no_text(client: Client) -> None:
    """A lane replaces what cannot be written, and no other call suffers."""
    if not client.path.differs("no status"):
        pytest.skip("grpcio leaves the caller to his deadline and logs what no report can hold")
    code, details, _ = await failure(client.act("raise_no_text"))
    assert code is Code.UNKNOWN
    assert details == unexpected(FileNotFoundError, "?.txt")


async def test_message_beyond_what_a_peer_takes(client: Client) -> None:
    """A lane cuts it; the headers of HTTP/2 have no room for it, nor for the code beside it."""
    code, details, _ = await failure(client.act("raise_long"))
    if client.path.differs("long message"):
        assert code is Code.UNKNOWN
        assert str(details).startswith("Unexpected <class 'ValueError'>: long long ")
    else:
        assert code is Code.RESOURCE_EXHAUSTED


async def test_abort_is_told_although_the_handler_cleans_up(client: Client) -> None:
    """At once by grpcio; over a lane when the handler has ended."""
    request = client.request("abort_and_clean_up")
    call = client.stub.Act(request, timeout=20)
    await client.noted(request, "cleaning up")
    if client.path.differs("abort"):
        assert not call.done()
    else:
        await call.code()
    await client.release(request)
    assert await failure(call) == (Code.ABORTED, "final", ())


@pytest.mark.parametrize(
    ("method", "request_bytes", "text"),
    [
        ("Unreadable", b"x", unexpected(ValueError, "refused by the serializer")),
        ("Unwritable", b"x", unexpected(ValueError, "refused by the serializer")),
        (
            "Text",
            b"\xff",
            unexpected(
                UnicodeDecodeError,
                "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
            ),
        ),
    ],
)
async def test_serializer_of_the_server_that_raises(
    client: Client, method: str, request_bytes: bytes, text: str
) -> None:
    """It is an exception of the handler."""
    call = client.channel.unary_unary(raw(method))(request_bytes)
    assert await failure(call) == (Code.UNKNOWN, text, ())


async def test_malformed_message_is_unknown(client: Client) -> None:
    """Bytes that are no request never reach the handler."""
    act = client.channel.unary_unary("/mesh.testing.calls.v1.BehaviourService/Act")
    code, details, _ = await failure(act(b"\xff\xff"))
    assert code is Code.UNKNOWN
    assert str(details).startswith("Unexpected <class 'google.protobuf.message.DecodeError'>: ")


async def test_blocking_handlers_are_served(client: Client) -> None:
    """A plain function serves in a thread: so do the methods a servicer leaves out."""
    call = client.channel.unary_unary(raw("Blocking"))(b"in a thread")
    assert await call == b"in a thread"
    assert tuple(await call.trailing_metadata()) == (("x-blocking", "yes"),)
    aborted = client.channel.unary_unary(raw("BlockingAbort"))(b"")
    assert await failure(aborted) == (Code.ABORTED, "by a thread", ())


async def test_failures_do_not_harm_others(client: Client) -> None:
    """Calls that fail in every way leave those beside them alone."""
    ways = ["abort_bare", "abort_twice", "raise_error", "answer_none", "set_integer"]
    failing = [client.act(way) for way in ways * 4]
    well = [client.act("echo", b"%d" % number) for number in range(20)]
    answers = await asyncio.gather(*well)
    failed = await asyncio.gather(*failing, return_exceptions=True)
    assert all(isinstance(result, grpc.aio.AioRpcError) for result in failed)
    assert [answer.payload for answer in answers] == [b"%d" % i for i in range(20)]
