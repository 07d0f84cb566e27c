"""The learning contract: messages to use cases and back."""

from __future__ import annotations

from datetime import datetime

from centers.learning import wire
from centers.learning.domain import Qualification
from centers.learning.service import Learning
from engine.learning.v1 import learning_pb2, learning_pb2_grpc
from mesh import context


class LearningRpc(learning_pb2_grpc.LearningServiceServicer):
    """Serves `engine.learning.v1.LearningService`."""

    def __init__(self, learning: Learning) -> None:
        self._learning = learning

    async def IssueQualification(
        self, request: learning_pb2.IssueQualificationRequest, _: object
    ) -> learning_pb2.IssueQualificationResponse:
        return await self._learning.issue(wire.grant(request, context.current().actor), _issued)

    async def RevokeQualification(
        self, request: learning_pb2.RevokeQualificationRequest, _: object
    ) -> learning_pb2.RevokeQualificationResponse:
        return await self._learning.revoke(request.staff_id, request.code, request.reason, _revoked)

    async def ListQualifications(
        self, request: learning_pb2.ListQualificationsRequest, _: object
    ) -> learning_pb2.ListQualificationsResponse:
        found, now = await self._learning.qualifications(request.staff_id)
        return learning_pb2.ListQualificationsResponse(
            qualifications=[wire.qualification(one, now) for one in found]
        )

    async def HasQualification(
        self, request: learning_pb2.HasQualificationRequest, _: object
    ) -> learning_pb2.HasQualificationResponse:
        held = await self._learning.held(request.staff_id, request.code)
        answer = learning_pb2.HasQualificationResponse(qualified=held is not None)
        if held is not None:
            answer.expire_time.FromDatetime(held.expire_time)
        return answer


def _issued(found: Qualification, now: datetime) -> learning_pb2.IssueQualificationResponse:
    shown = wire.qualification(found, now)
    return learning_pb2.IssueQualificationResponse(qualification=shown)


def _revoked(found: Qualification, now: datetime) -> learning_pb2.RevokeQualificationResponse:
    shown = wire.qualification(found, now)
    return learning_pb2.RevokeQualificationResponse(qualification=shown)
