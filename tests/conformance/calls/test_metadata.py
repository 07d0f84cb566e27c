"""Metadata that a caller sends: what arrives, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.conformance.calls.paths import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY_BYTE = bytes(range(256))
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
REFUSALS = (TypeError, ValueError, grpc.aio.BaseError)
"""grpcio raises its own error for bytes that HTTP/2 cannot carry, the mesh a ValueError."""


async def seen(client: Client, metadata: Any) -> list[tuple[str, str | bytes]]:
    """What a handler sees of the metadata of a call, without what grpcio says of itself."""
    request = client.request("metadata")
    await client.stub.Act(request, metadata=metadata)
    kind, pairs = await client.noted(request, "metadata")
    assert kind == "tuple"
    return [
        (key, value if isinstance(value, str) else bytes(value))
        for key, value in pairs
        if key != "user-agent"
    ]


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("key", "value"),),
        (("key", ""),),
        (("key", PRINTABLE.strip()),),
        (("key", " padded "),),
        (("a.b-c_d.0", "1"),),
        (("key", "a,b"),),
        (("bytes-bin", EVERY_BYTE),),
        (("bytes-bin", b""),),
        (("bytes-bin", b"a,b"),),
        (("key", "x" * 4_096),),
        (("bytes-bin", b"\xff" * 2_048),),
        tuple((f"key-{number}", str(number)) for number in range(100)),
        (("b", "1"), ("a", "2"), ("c-bin", b"3")),
        (("key", "2"), ("key", "1"), ("key", "2")),
        (("key-bin", b"2"), ("key-bin", b"1"), ("key-bin", b"2")),
    ],
    ids=[
        "none",
        "one",
        "empty",
        "printable",
        "padded",
        "characters of keys",
        "comma",
        "every byte",
        "no bytes",
        "comma in bytes",
        "long",
        "long bytes",
        "many",
        "order of keys",
        "order of values",
        "order of bytes",
    ],
)
async def test_metadata_arrive_as_they_were_sent(client: Client, metadata: Any) -> None:
    """In order, text as text and bytes as bytes."""
    assert await seen(client, metadata) == [*metadata]


async def test_values_of_one_key_may_come_together(client: Client) -> None:
    """Their order is kept; grpcio's own type for metadata groups by key, a lane need not."""
    sent = [("key", "1"), ("other", "2"), ("key", "3")]
    arrived = await seen(client, sent)
    assert sorted(arrived) == sorted(sent)
    assert [value for key, value in arrived if key == "key"] == ["1", "3"]


@pytest.mark.parametrize(
    "metadata",
    [
        [("key", "value")],
        (("key", "value"),),
        grpc.aio.Metadata(("key", "value")),
        [("key", b"value")],
    ],
    ids=["list", "tuple", "Metadata", "bytes of ASCII"],
)
async def test_metadata_are_taken_in_every_form(client: Client, metadata: Any) -> None:
    """All that grpcio takes."""
    assert await seen(client, metadata) == [("key", "value")]


@pytest.mark.parametrize("key", ["te", "content-type", "user-agent"])
async def test_what_the_carrier_says_is_not_the_callers(client: Client, key: str) -> None:
    """Such keys are dropped: a handler cannot be told lies about its transport."""
    assert await seen(client, ((key, "mine"), ("key", "value"))) == [("key", "value")]


async def test_only_plain_gRPC_names_a_user_agent(client: Client) -> None:
    """It is of HTTP/2, which a lane is not."""
    request = client.request("metadata")
    await client.stub.Act(request)
    _, pairs = await client.noted(request, "metadata")
    has_one = "user-agent" in [key for key, _ in pairs]
    assert has_one is not client.path.differs("user agent")


@pytest.mark.parametrize(
    "pair",
    [
        ("Key", "upper case"),
        ("a key", "space"),
        ("", "no key"),
        (":pseudo", "header"),
        ("schlüssel", "not ASCII"),
        ("key", "not ASCII: é"),
        ("key", b"not ASCII: \xff"),
        ("key", "line\nbreak"),
        ("key", "tab\t"),
        ("key", "\x7f"),
        ("key", 1),
        ("key-bin", "text"),
        (1, "key"),
    ],
    ids=repr,
)
async def test_metadata_that_cannot_be_sent_are_refused(client: Client, pair: Any) -> None:
    """The call fails with an exception that is no answer, and the next one is served."""
    request = client.request("echo")
    with pytest.raises(REFUSALS) as caught:
        await client.stub.Act(request, metadata=(pair,))
    assert not isinstance(caught.value, grpc.RpcError)
    assert (await client.act("echo", b"next")).payload == b"next"


async def test_metadata_beyond_what_a_peer_takes(client: Client) -> None:
    """RESOURCE_EXHAUSTED says so, for what is sent and for what is answered."""
    sent = client.act("echo", metadata=(("key", "x" * 20_000),))
    answered = [client.act(way) for way in ("large_trailing", "large_initial")]
    for call in (sent, *answered):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await client.act("echo", b"next")).payload == b"next"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("number", "TypeError"), ("no pairs", "TypeError"), ("none", "TypeError")],
)
async def test_metadata_of_an_answer_are_refused_where_they_are_set(
    client: Client, name: str, wanted: str
) -> None:
    """So that the handler's author sees it."""
    request = client.request("refused_trailing")
    await client.stub.Act(request)
    assert await client.noted(request, name) == wanted


@pytest.mark.parametrize("way", ["trailing", "initial", "abort"])
async def test_metadata_of_an_answer_that_cannot_be_sent(client: Client, way: str) -> None:
    """The call fails, that one alone: INTERNAL where grpcio finds out when it sends them."""
    held = client.request("hold", b"beside it")
    beside = client.stub.Act(held)
    await client.noted(held, "started")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.act("unsendable", way.encode())
    differs = client.path.differs("unsendable metadata")
    assert caught.value.code() is (grpc.StatusCode.UNKNOWN if differs else grpc.StatusCode.INTERNAL)
    await client.release(held)
    assert (await beside).payload == b"beside it"


async def test_answers_metadata_arrive_as_they_were_sent(client: Client) -> None:
    """Both kinds; what is of the carrier is dropped from them as well."""
    call = client.act("answer_metadata")
    await call
    wanted = (("x-a", "1"), ("x-a", "2"), ("x-b-bin", EVERY_BYTE), ("x-c", ""))
    assert tuple(await call.initial_metadata()) == wanted
    assert tuple(await call.trailing_metadata()) == wanted
