"""Serves `engine.mesh.v1.TrustService`: what others need to check tokens by themselves."""
# ruff: noqa: ARG002 - the transport's context goes unused

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from centers.identity import wire
from centers.identity.keyring import Keyring
from centers.identity.revocations import RevocationFeed
from engine.mesh.v1 import trust_pb2, trust_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]


class TrustRpc(trust_pb2_grpc.TrustServiceServicer):
    """Public keys and revocations."""

    def __init__(self, keyring: Keyring, feed: RevocationFeed) -> None:
        self._keyring = keyring
        self._feed = feed

    async def GetKeySet(
        self, request: trust_pb2.GetKeySetRequest, context: _Context
    ) -> trust_pb2.GetKeySetResponse:
        keys = [trust_pb2.JsonWebKey(**key) for key in self._keyring.public_keys()]
        return trust_pb2.GetKeySetResponse(keys=keys)

    async def PollRevocations(
        self, request: trust_pb2.PollRevocationsRequest, context: _Context
    ) -> trust_pb2.PollRevocationsResponse:
        news = await self._feed.since(request.place, request.epoch)
        return trust_pb2.PollRevocationsResponse(
            revocations=map(wire.revocation_message, news.revocations),
            place=news.place,
            epoch=news.epoch,
            more=news.more,
        )

    async def WatchRevocations(
        self, request: trust_pb2.WatchRevocationsRequest, context: _Context
    ) -> AsyncIterator[trust_pb2.WatchRevocationsResponse]:
        async for news in self._feed.watch():
            yield trust_pb2.WatchRevocationsResponse(
                revocations=map(wire.revocation_message, news.revocations),
                epoch=news.epoch,
                more=news.more,
            )
