"""The learning centre as the reach centre sees it: who is qualified."""

from __future__ import annotations

import grpc

from centers.reach.asking import gate
from engine.learning.v1 import learning_pb2, learning_pb2_grpc


class LearningClient:
    """Asks over a channel; who asks and the deadline travel with the call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = learning_pb2_grpc.LearningServiceStub(channel)

    async def is_qualified(self, staff_id: int, code: str) -> bool:
        """Whether somebody is qualified at this moment.

        Raises:
            MeshError: GATE_UNAVAILABLE.
            grpc.aio.AioRpcError: the centre refuses.
        """
        request = learning_pb2.HasQualificationRequest(staff_id=staff_id, code=code)
        with gate("learning"):
            answer = await self._stub.HasQualification(request)
        return answer.qualified
