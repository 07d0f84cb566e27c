"""The learning centre as the reach centre sees it: who is qualified."""

from __future__ import annotations

import grpc

from centers.reach.asking import TIMEOUT_S, gate
from centers.reach.shared import Shared
from engine.learning.v1 import learning_pb2, learning_pb2_grpc


class LearningClient:
    """Asks over a channel, once for all who ask the same at a time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = learning_pb2_grpc.LearningServiceStub(channel)
        self._shared = Shared(self._ask)

    async def is_qualified(self, staff_id: int, code: str) -> bool:
        """Whether somebody is qualified at this moment.

        Raises:
            MeshError: GATE_UNAVAILABLE.
            grpc.aio.AioRpcError: the centre refuses.
        """
        return await self._shared.get((staff_id, code))

    async def _ask(self, question: tuple[int, str]) -> bool:
        staff_id, code = question
        request = learning_pb2.HasQualificationRequest(staff_id=staff_id, code=code)
        with gate("learning"):
            answer = await self._stub.HasQualification(request, timeout=TIMEOUT_S)
        return answer.qualified
