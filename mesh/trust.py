"""Keeps a token verifier fed with the identity centre's keys and revocations."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import grpc

from engine.mesh.v1 import trust_pb2, trust_pb2_grpc
from mesh.background import Background
from mesh.log import get_logger
from mesh.tokens import TokenVerifier

_FIELDS = ("kty", "crv", "x", "kid", "alg", "use")
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 2.0
_MIN_REFETCH_S = 1.0

_log = get_logger(__name__)


class TrustFeed(Background):
    """Fetches keys and watches revocations for as long as it is entered.

    Entering does not wait for the identity centre: until the first answer users'
    tokens are refused with KEYS_UNAVAILABLE. It reconnects by itself.
    """

    def __init__(self, channel: grpc.aio.Channel, verifier: TokenVerifier) -> None:
        self._stub = trust_pb2_grpc.TrustServiceStub(channel)
        self._verifier = verifier
        self._unknown = asyncio.Event()
        self._stands = asyncio.Event()
        verifier.on_unknown_key = self._unknown.set

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="revocations")
            group.create_task(self._refetch(), name="keys")

    async def _watch(self) -> None:
        backoff = _FIRST_BACKOFF_S
        while True:
            try:
                async for update in self._stub.WatchRevocations(
                    trust_pb2.WatchRevocationsRequest(), timeout=86_400
                ):
                    self._apply(update)
                    if not self._stands.is_set():  # keys after the ended sessions, not before
                        await self._fetch_keys()
                        self._stands.set()
                    backoff = _FIRST_BACKOFF_S
            except grpc.aio.AioRpcError as error:
                _log.debug("trust_feed_interrupted", code=error.code().name)
            self._stands.clear()
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff = min(backoff * 2, _LAST_BACKOFF_S)

    async def _refetch(self) -> None:
        """Fetch the keys again when a token names one we do not know, once a second at most."""
        while True:
            await self._unknown.wait()
            await self._stands.wait()
            with suppress(grpc.aio.AioRpcError):
                await self._fetch_keys()
            await asyncio.sleep(_MIN_REFETCH_S)
            self._unknown.clear()

    def _apply(self, update: trust_pb2.WatchRevocationsResponse) -> None:
        for revocation in update.revocations:
            expires = revocation.expire_time.ToNanoseconds() / 1e9
            self._verifier.end_session(revocation.session_id, expires)

    async def _fetch_keys(self) -> None:
        answer = await self._stub.GetKeySet(trust_pb2.GetKeySetRequest(), timeout=2)
        keys = [{field: getattr(key, field) for field in _FIELDS} for key in answer.keys]
        try:
            self._verifier.set_keys(keys)
        except ValueError as error:
            _log.error("keys_refused", problem=str(error))
