"""WeCom's contract: messages to use cases and back."""

from __future__ import annotations

from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from simulators.wecom.service import Wecom


class WecomSimulatorRpc(simulator_pb2_grpc.WecomSimulatorServiceServicer):
    """Serves `engine.simulator.v1.WecomSimulatorService`."""

    def __init__(self, wecom: Wecom) -> None:
        self._wecom = wecom

    async def AddMessageTask(
        self, request: simulator_pb2.AddMessageTaskRequest, _: object
    ) -> simulator_pb2.AddMessageTaskResponse:
        msgid = await self._wecom.add(
            request.contact_id, request.external_userid, request.userid, request.text
        )
        return simulator_pb2.AddMessageTaskResponse(msgid=msgid)

    async def RemindMember(
        self, request: simulator_pb2.RemindMemberRequest, _: object
    ) -> simulator_pb2.RemindMemberResponse:
        await self._wecom.remind(request.msgid)
        return simulator_pb2.RemindMemberResponse()

    async def CancelTask(
        self, request: simulator_pb2.CancelTaskRequest, _: object
    ) -> simulator_pb2.CancelTaskResponse:
        cancelled = await self._wecom.cancel(request.msgid)
        return simulator_pb2.CancelTaskResponse(cancelled=cancelled)

    async def PlanContacts(
        self, request: simulator_pb2.PlanContactsRequest, _: object
    ) -> simulator_pb2.PlanContactsResponse:
        await self._wecom.plan({plan.external_userid: plan.result_code for plan in request.plans})
        return simulator_pb2.PlanContactsResponse()

    async def ConfirmTasks(
        self, request: simulator_pb2.ConfirmTasksRequest, _: object
    ) -> simulator_pb2.ConfirmTasksResponse:
        confirmed = await self._wecom.confirm(request.userid, request.msgids)
        return simulator_pb2.ConfirmTasksResponse(confirmed=confirmed)
