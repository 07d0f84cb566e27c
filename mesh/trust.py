"""Keeps a token verifier fed with the identity centre's keys and revocations."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Final, Self

import grpc

from engine.mesh.v1 import trust_pb2, trust_pb2_grpc
from mesh.background import Background
from mesh.log import get_logger
from mesh.tokens import SILENCE_S, TokenVerifier

ANSWER_S: Final = 2.0
"""How long an answer is waited for: the centre has one within a second, news or not."""

_FIELDS = ("kty", "crv", "x", "kid", "alg", "use")
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 1.0
_MIN_REFETCH_S = 1.0

_log = get_logger(__name__)


class TrustFeed(Background):
    """Fetches keys and asks for revocations for as long as it is entered.

    Entering does not wait for the identity centre: until the first answer (`told`) users'
    tokens are refused with KEYS_UNAVAILABLE. It goes on asking by itself; the verifier's
    pulse is silent `limit_s` after the last question that was answered had been sent, so
    that an answer which was long on its way proves nothing.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        verifier: TokenVerifier,
        *,
        limit_s: float = SILENCE_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._stub = trust_pb2_grpc.TrustServiceStub(channel)
        self._verifier = verifier
        self._limit_s = limit_s
        self._answer_s = answer_s
        self._asked = trust_pb2.PollRevocationsRequest()
        self._backoff_s = _FIRST_BACKOFF_S
        self._is_deaf = False
        self._unknown = asyncio.Event()
        self._stands = asyncio.Event()
        verifier.on_unknown_key = self._unknown.set

    async def __aenter__(self) -> Self:
        self._verifier.pulse.expect(self._limit_s)
        return await super().__aenter__()

    async def told(self, most_s: float) -> None:
        """Return once the centre has told its keys, or after `most_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._stands.wait()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask(), name="revocations")
            group.create_task(self._refetch(), name="keys")

    async def _ask(self) -> None:
        while True:
            sent = self._verifier.pulse.now()
            try:
                answer = await self._stub.PollRevocations(self._asked, timeout=self._answer_s)
                await self._take(answer, sent)
            except grpc.aio.AioRpcError as error:
                self._interrupted(error)
                await asyncio.sleep(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311
                self._backoff_s = min(self._backoff_s * 2, _LAST_BACKOFF_S)
            else:
                self._resumed()

    def _interrupted(self, error: grpc.aio.AioRpcError) -> None:
        """Tell of it once, not with every attempt."""
        self._stands.clear()
        if not self._is_deaf:
            self._is_deaf = True
            _log.info("trust_feed_interrupted", code=error.code().name)

    def _resumed(self) -> None:
        self._backoff_s = _FIRST_BACKOFF_S
        if self._is_deaf:
            self._is_deaf = False
            _log.info("trust_feed_resumed")

    async def _take(self, answer: trust_pb2.PollRevocationsResponse, sent: float) -> None:
        for revocation in answer.revocations:
            expires = revocation.expire_time.ToNanoseconds() / 1e9
            self._verifier.end_session(revocation.session_id, expires)
        self._asked = trust_pb2.PollRevocationsRequest(place=answer.place, epoch=answer.epoch)
        if answer.more:
            return
        self._verifier.begin_epoch(answer.epoch)
        self._verifier.pulse.beat(sent)
        if not self._stands.is_set():  # keys after the ended sessions, not before
            await self._fetch_keys()
            self._stands.set()

    async def _refetch(self) -> None:
        """Fetch the keys again when a token names one we do not know, once a second at most."""
        while True:
            await self._unknown.wait()
            await self._stands.wait()
            with suppress(grpc.aio.AioRpcError):
                await self._fetch_keys()
            await asyncio.sleep(_MIN_REFETCH_S)
            self._unknown.clear()

    async def _fetch_keys(self) -> None:
        answer = await self._stub.GetKeySet(trust_pb2.GetKeySetRequest(), timeout=2)
        keys = [{field: getattr(key, field) for field in _FIELDS} for key in answer.keys]
        try:
            self._verifier.set_keys(keys)
        except ValueError as error:
            _log.error("keys_refused", problem=str(error))
