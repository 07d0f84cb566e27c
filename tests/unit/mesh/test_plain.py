"""The plain channel to an endpoint follows the certificate, and drops no call for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import grpc
import pytest

from mesh import plain
from mesh.plain import PlainChannel


class Renewable:
    """What is shown, in as many versions as a test wants."""

    version = 1

    def client_context(self) -> ssl.SSLContext:
        raise AssertionError("no lane is opened here")

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials()


@pytest.fixture
def tls() -> Renewable:
    return Renewable()


@pytest.fixture
async def remote(tls: Renewable) -> AsyncIterator[PlainChannel]:
    """To another host; nobody need be there."""
    channel = PlainChannel("127.0.0.1:1", (), tls)
    yield channel
    await channel.close(None)


async def test_the_channel_stays_until_the_certificate_was_renewed(
    remote: PlainChannel, tls: Renewable
) -> None:
    """Methods are bound anew as well."""
    first, method = remote.channel, remote.bound("unary_unary", "/t/T", (None, None))
    assert remote.channel is first
    assert remote.bound("unary_unary", "/t/T", (None, None)) is method
    tls.version = 2
    assert remote.bound("unary_unary", "/t/T", (None, None)) is not method
    assert remote.channel is not first


async def test_the_channel_before_it_lives_until_the_next_renewal(
    remote: PlainChannel, tls: Renewable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are never more than two, and those that are being closed."""
    monkeypatch.setattr(plain, "FORMER_S", 0)
    first = remote.channel
    tls.version = 2
    second = remote.channel
    assert first.get_state() is not grpc.ChannelConnectivity.SHUTDOWN
    tls.version = 3
    assert remote.channel not in {first, second}
    async with asyncio.timeout(10):
        while remote._closing:  # noqa: ASYNC110 - tasks of its own
            await asyncio.sleep(0)
    assert first.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    assert second.get_state() is not grpc.ChannelConnectivity.SHUTDOWN


async def test_a_unix_socket_needs_no_certificate(tls: Renewable) -> None:
    """So a renewal does not matter to it."""
    local = PlainChannel("unix:/nowhere", (), tls)
    first = local.channel
    tls.version = 2
    assert local.channel is first
    await local.close(None)


async def test_closing_closes_the_one_before_as_well(remote: PlainChannel, tls: Renewable) -> None:
    """Nothing is left behind."""
    first = remote.channel
    tls.version = 2
    second = remote.channel
    await remote.close(None)
    for channel in (first, second):
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
