"""What a handler reads from its context, and sends by it before it answers."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.conformance.calls.paths import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_initial_metadata_reach_the_caller(client: Client) -> None:
    """With the answer, as grpcio hands them to who made a unary call; bytes are bytes."""
    request = client.request("initial")
    call = client.stub.Act(request)
    early = asyncio.ensure_future(call.initial_metadata())
    await client.noted(request, "sent")
    await client.release(request)
    assert (await call).payload == b"later"
    assert tuple(await early) == (("x-early", "yes"), ("x-early-bin", b"\x00\x01"))
    assert tuple(await call.trailing_metadata()) == ()


async def test_initial_metadata_come_beside_a_failure(client: Client) -> None:
    """The error has them as well."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.act("initial_and_abort")
    assert tuple(caught.value.initial_metadata() or ()) == (("x-early", "yes"),)


async def test_initial_metadata_are_sent_once(client: Client) -> None:
    """The second time is a mistake of use; the first stands."""
    request = client.request("initial_twice")
    call = client.stub.Act(request)
    await call
    assert tuple(await call.initial_metadata()) == (("x-early", "first"),)
    wanted = ["UsageError", "Send initial metadata failed: already sent"]
    assert await client.noted(request, "raised") == wanted


async def test_peer_is_an_address(client: Client) -> None:
    """It names the transport and where the caller is."""
    request = client.request("who")
    await client.stub.Act(request)
    peer = await client.noted(request, "peer")
    assert peer.partition(":")[0] in {"ipv4", "unix"}


async def test_context_says_how_safe_the_transport_is(client: Client) -> None:
    """A handler may ask whether what it is told was encrypted on its way."""
    request = client.request("who")
    await client.stub.Act(request)
    auth = await client.noted(request, "auth")
    security = auth.get("transport_security_type", ["none"])[0]
    assert security == {"tls": "ssl", "unix": "none"}.get(client.path.name, "insecure")


async def test_caller_without_a_certificate_has_no_identity(client: Client) -> None:
    """Nothing is known of who calls, but what its metadata prove."""
    request = client.request("who")
    await client.stub.Act(request)
    assert await client.noted(request, "key") is None
    assert await client.noted(request, "identities") is None


@pytest.mark.parametrize(
    ("payload", "cancelled"), [(b"", False), (b"raise", False)], ids=["answer", "exception"]
)
async def test_context_calls_back_at_the_end(
    client: Client, payload: bytes, cancelled: bool
) -> None:
    """With itself, when it is done."""
    request = client.request("call_back", payload)
    await asyncio.wait([asyncio.ensure_future(client.stub.Act(request).code())])
    assert await client.noted(request, "started") == [False, False]
    assert await client.noted(request, "ended") == [True, True, cancelled]


async def test_context_calls_back_when_the_caller_gives_up(client: Client) -> None:
    """A handler's clean-up by callback runs for a cancelled call, too."""
    request = client.request("call_back", b"hold")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    call.cancel()
    is_context, *_ = await client.noted(request, "ended")
    assert is_context


async def test_calls_do_not_see_each_others_variables(client: Client) -> None:
    """Each handler starts with a fresh context, however many calls one connection had."""

    async def remember() -> Any:
        return (await client.act("remember")).payload

    assert [await remember() for _ in range(5)] == [b"nothing"] * 5
    together = await asyncio.gather(*(remember() for _ in range(20)))
    assert together == [b"nothing"] * 20
