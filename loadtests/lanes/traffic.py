"""Mixed traffic over the channels of one process: what a day of a busy service is made of."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import grpc

from loadtests.lanes.asked import AGAIN, ONCE, PIECES, Asked
from mesh.channel import Channel
from mesh.context import RequestContext, using
from mesh.lane.composer import NO_TIME_LEFT

Open = Callable[[], Channel]
"""Opens a channel to the peer."""

TIMEOUT_S: Final = 10.0
GRACE_S: Final = 5.0
USERS: Final = 40
TOKEN_S: Final = 5.0
"""How long a token is valid; a user has a new one before that."""
LARGE: Final = (100_000, 1_000_000)
BALLAST: Final = bytes(100_000)
"""Makes a request too large for a lane."""

_REFUSAL: Final = grpc.StatusCode.FAILED_PRECONDITION
_LOST: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
"""How a call may end when the lane under it is closed."""


class Traffic:
    """Makes calls one after another, each of a kind by chance, until it is cancelled.

    `told` counts how they ended: as they should, lost with their lane, or wrong. Each worker
    changes to a channel of its own now and then.

    Args:
        open_channel: of one carrier.
        chance: chooses.
        rest_s: between two calls, on average.
    """

    def __init__(self, open_channel: Open, chance: random.Random, rest_s: float) -> None:
        self._open = open_channel
        self._random = chance
        self._rest_s = rest_s
        self._numbers = count(1)
        self._tokens: dict[int, tuple[float, str]] = {}
        self._kinds: dict[Callable[[], Awaitable[str]], int] = {
            self._small: 60,
            self._large: 10,
            self._refused: 8,
            self._late: 6,
            self._given_up: 6,
            self._stream: 6,
            self._by_the_ordinary_way: 4,
        }
        self.told: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._channel = open_channel()

    async def close(self) -> None:
        """Let calls under way end."""
        await self._channel.close(GRACE_S)

    async def renew(self) -> None:
        """Go on over a new channel."""
        old, self._channel = self._channel, self._open()
        await old.close(GRACE_S)

    async def run(self) -> None:
        """Make calls."""
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while True:
            (kind,) = self._random.choices(kinds, weights)
            with using(RequestContext(token=self._token())):
                await self._one(kind)
            await asyncio.sleep(self._random.expovariate(1 / self._rest_s))

    async def _one(self, kind: Callable[[], Awaitable[str]]) -> None:
        try:
            wrong = await kind()
        except grpc.aio.AioRpcError as error:
            wrong = "" if error.code() in _LOST else f"{error.code().name}: {error.details()}"
            self.told["lost"] += not wrong
        else:
            self.told[kind.__name__.strip("_").replace("_", " ")] += not wrong
        if wrong:
            self.told["wrong"] += 1
            self.wrong.append(f"{kind.__name__}: {wrong}")

    # Kinds of calls; each answers what is wrong with what it was told.

    async def _small(self) -> str:
        return await self._answered(Asked(number=next(self._numbers), size=100))

    async def _large(self) -> str:
        size = self._random.randint(*LARGE)
        return await self._answered(Asked(number=next(self._numbers), size=size))

    async def _by_the_ordinary_way(self) -> str:
        return await self._answered(Asked(number=next(self._numbers), size=100), BALLAST)

    async def _answered(self, asked: Asked, ballast: bytes = b"") -> str:
        method = self._channel.unary_unary(self._random.choice((ONCE, AGAIN)))
        reply = await method(asked.to_bytes() + ballast, timeout=TIMEOUT_S)
        return "" if asked.is_answered_by(reply) else f"{len(reply)} bytes that are not the answer"

    async def _refused(self) -> str:
        asked = Asked(number=next(self._numbers), code=_REFUSAL.value[0])
        try:
            await self._channel.unary_unary(ONCE)(asked.to_bytes(), timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not _REFUSAL:
                raise
            return ""
        return "answered, not refused"

    async def _late(self) -> str:
        asked = Asked(number=next(self._numbers), hold_s=1.0)
        try:
            await self._channel.unary_unary(ONCE)(asked.to_bytes(), timeout=0.05)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED or error.details() == NO_TIME_LEFT:
                return ""
            raise
        return "answered after its deadline"

    async def _given_up(self) -> str:
        asked = Asked(number=next(self._numbers), hold_s=1.0)
        call = self._channel.unary_unary(ONCE)(asked.to_bytes(), timeout=TIMEOUT_S)
        await asyncio.sleep(self._random.uniform(0, 0.05))
        is_given_up = call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            return ""
        return "answered though it was given up" if is_given_up else ""

    async def _stream(self) -> str:
        asked = Asked(number=next(self._numbers), size=100_000)
        call = self._channel.unary_stream(PIECES)(asked.to_bytes(), timeout=TIMEOUT_S)
        reply = b"".join([piece async for piece in call])
        return "" if asked.is_answered_by(reply) else f"{len(reply)} bytes that are not the stream"

    def _token(self) -> str:
        """The token of some user: it has the form of a JWT and its end in it."""
        user, now = self._random.randrange(USERS), time.time()
        until, token = self._tokens.get(user, (0.0, ""))
        if until < now + 1:
            until = now + TOKEN_S
            claims = json.dumps({"sub": f"user-{user}", "exp": until}).encode()
            token = f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.sig"
            self._tokens[user] = until, token
        return token
