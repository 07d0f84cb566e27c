"""The WeCom contract: messages to use cases and back."""

from __future__ import annotations

from centers.wecom import wire
from centers.wecom.contacts import Contacts
from centers.wecom.domain import MessageTask
from centers.wecom.service import Messages
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc
from mesh import context


class WecomRpc(wecom_pb2_grpc.WecomServiceServicer):
    """Serves `engine.wecom.v1.WecomService`."""

    def __init__(self, contacts: Contacts, messages: Messages) -> None:
        self._contacts = contacts
        self._messages = messages

    async def BindContacts(
        self, request: wecom_pb2.BindContactsRequest, _: object
    ) -> wecom_pb2.BindContactsResponse:
        stored = await self._contacts.bind([wire.binding(one) for one in request.bindings])
        return wecom_pb2.BindContactsResponse(stored=stored)

    async def CreateMessageTask(
        self, request: wecom_pb2.CreateMessageTaskRequest, _: object
    ) -> wecom_pb2.CreateMessageTaskResponse:
        task = await self._messages.create(wire.order(request, context.current().chain))
        return wecom_pb2.CreateMessageTaskResponse(message_task=wire.message_task(task))

    async def ListMyMessageTasks(
        self, request: wecom_pb2.ListMyMessageTasksRequest, _: object
    ) -> wecom_pb2.ListMyMessageTasksResponse:
        page = await self._messages.pending(request.staff_id, wire.page(request))
        return wecom_pb2.ListMyMessageTasksResponse(
            message_tasks=map(wire.message_task, page.entries), next_page_token=page.next_token
        )

    async def RemindMessageTask(
        self, request: wecom_pb2.RemindMessageTaskRequest, _: object
    ) -> wecom_pb2.RemindMessageTaskResponse:
        return await self._messages.remind(request.message_task_id, _reminded)

    async def CancelMessageTask(
        self, request: wecom_pb2.CancelMessageTaskRequest, _: object
    ) -> wecom_pb2.CancelMessageTaskResponse:
        task = await self._messages.cancel(request.contact_id)
        return wecom_pb2.CancelMessageTaskResponse(message_task=wire.message_task(task))

    async def ReceiveCallback(
        self, request: wecom_pb2.ReceiveCallbackRequest, _: object
    ) -> wecom_pb2.ReceiveCallbackResponse:
        await self._messages.take_in(
            request.msgid, request.external_userid, request.change_type, request.result_code
        )
        return wecom_pb2.ReceiveCallbackResponse()


def _reminded(task: MessageTask) -> wecom_pb2.RemindMessageTaskResponse:
    return wecom_pb2.RemindMessageTaskResponse(message_task=wire.message_task(task))
