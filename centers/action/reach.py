"""The reach centre as the action centre sees it: refusals, evidence, and the hold on a scene."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import Final

import grpc

from centers.action.turn import Turn
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from mesh import context
from mesh.log import get_logger

BATCH: Final = 5_000
"""Customers asked for in one call, as the contract bounds it."""

SCREEN_S: Final = 1.5
"""The longest that one call for refusals takes; who comes while it is under way waits for two."""

HOLD_S: Final = 0.9
"""The longest that stopping a scene waits for the reach centre: the whole takes 1 s at most."""

_log = get_logger(__name__)


class ReachClient:
    """Asks the reach centre over a channel, as the action centre itself."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = reach_pb2_grpc.ReachServiceStub(channel)
        self._boarding: _Flight | None = None
        self._runway = asyncio.Lock()

    async def opted_out(self, customer_ids: Collection[int]) -> AbstractSet[int]:
        """Those of the customers, 5,000 at most, who refuse every channel of marketing.

        Raises:
            grpc.aio.AioRpcError: the reach centre cannot be asked.
        """
        if not customer_ids:
            return frozenset()
        request = reach_pb2.ListOptedOutRequest(
            customer_ids=customer_ids, contact_class=reach_pb2.CONTACT_CLASS_MARKETING
        )
        with context.as_service():
            answer = await self._stub.ListOptedOut(request, timeout=SCREEN_S)
        return frozenset(answer.customer_ids)

    async def refuses(self, customer_id: int) -> bool:
        """Whether the customer refuses every channel of marketing.

        What is asked within one turn of the loop, or while a call is under way, goes out as one.

        Raises:
            grpc.aio.AioRpcError: the reach centre cannot be asked.
        """
        flight = self._boarding
        if flight is None or len(flight.customer_ids) == BATCH:
            flight = self._boarding = _Flight()
            flight.answer = asyncio.create_task(self._fly(flight))
            flight.answer.add_done_callback(_look_at_failure)
        flight.customer_ids.add(customer_id)
        # One who leaves must not take the answer away from the others.
        return customer_id in await asyncio.shield(flight.answer)

    async def evidence(self, contact_id: int) -> reach_pb2.Contact | None:
        """The contact of this id; None when there is none.

        Raises:
            grpc.aio.AioRpcError: the reach centre cannot be asked.
        """
        request = reach_pb2.GetEvidenceRequest(contact_id=contact_id)
        try:
            with context.as_service():
                return (await self._stub.GetEvidence(request)).contact
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    async def hold(self, turn: Turn) -> None:
        """Stop or resume the dispatch of a scene's contacts; effective on return.

        A reach centre that cannot be reached is logged and left to the event
        `SceneChanged`, which it consumes first thing when it is back.
        """
        request = reach_pb2.HoldSceneRequest(
            scene_version=turn.scene_version, scene_versions=turn.scene_versions, held=turn.held
        )
        request.time.FromDatetime(turn.time)
        try:
            with context.as_service():
                await self._stub.HoldScene(request, timeout=HOLD_S)
        except grpc.aio.AioRpcError as error:
            _log.warning(
                "hold_left_to_event",
                scene_version=turn.scene_version,
                held=turn.held,
                code=error.code().name,
            )

    async def _fly(self, flight: _Flight) -> AbstractSet[int]:
        """Ask for all who boarded, in a turn of the loop after the first did."""
        async with self._runway:
            if self._boarding is flight:
                self._boarding = None
            # Many may wait for the answer: neither the actor nor the deadline of one counts.
            with context.using(context.EMPTY):
                return await self.opted_out(flight.customer_ids)


class _Flight:
    """One call on its way, and whom it asks for."""

    __slots__ = ("answer", "customer_ids")

    answer: asyncio.Task[AbstractSet[int]]

    def __init__(self) -> None:
        self.customer_ids: set[int] = set()


def _look_at_failure(flight: asyncio.Task[AbstractSet[int]]) -> None:
    """Everybody may have left before it failed; then nobody else looks."""
    if not flight.cancelled():
        flight.exception()
