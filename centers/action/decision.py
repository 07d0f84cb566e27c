"""The decision centre as the action centre sees it: customers of backtests, amounts of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from centers.action.errors import ActionReason
from engine.decision.v1 import decision_pb2, decision_pb2_grpc
from mesh import context
from mesh.errors import MeshError

PAGE: Final = 5_000
"""Customers asked for at once, as the contract bounds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestPage:
    """Some of the customers whom a backtest found; `next_token` is empty on the last page."""

    customer_ids: Sequence[int]
    scene_id: int
    days: int
    next_token: str


class DecisionClient:
    """Asks the decision centre over a channel, as the action centre itself."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = decision_pb2_grpc.DecisionServiceStub(channel)

    async def backtest_page(self, backtest_id: int, token: str) -> BacktestPage:
        """A page of the customers of a backtest, the first one with an empty token.

        Raises:
            MeshError: BACKTEST_UNKNOWN.
            grpc.aio.AioRpcError: it cannot be asked.
        """
        request = decision_pb2.ListBacktestCustomersRequest(
            backtest_id=backtest_id, page_size=PAGE, page_token=token
        )
        try:
            with context.as_service():
                answer = await self._stub.ListBacktestCustomers(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            raise MeshError(ActionReason.BACKTEST_UNKNOWN) from error
        return BacktestPage(
            customer_ids=answer.customer_ids,
            scene_id=answer.scene_id,
            days=answer.days,
            next_token=answer.next_page_token,
        )

    async def amount_fen(self, trigger_id: int) -> int:
        """The amount of the event behind a trigger; 0 when it has none.

        Raises:
            grpc.aio.AioRpcError: there is no such trigger, or it cannot be asked.
        """
        request = decision_pb2.GetTriggerRequest(trigger_id=trigger_id)
        with context.as_service():
            answer = await self._stub.GetTrigger(request)
        return answer.amount_fen
