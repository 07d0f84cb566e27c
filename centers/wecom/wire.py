"""Messages of the WeCom contract as domain objects, and back."""

from __future__ import annotations

from centers.wecom.domain import Binding, MessageTask, Order
from engine.mesh.v1 import context_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.wecom.v1 import wecom_pb2
from mesh.events import event
from mesh.paging import PageRequest


def binding(message: wecom_pb2.Binding) -> Binding:
    """A binding as the contract's message states it."""
    return Binding(
        customer_id=message.customer_id,
        external_userid=message.external_userid,
        staff_id=message.staff_id,
    )


def order(request: wecom_pb2.CreateMessageTaskRequest, carried: context_pb2.ChainIds) -> Order:
    """What a request orders, as part of the chain that it carries."""
    chain = context_pb2.ChainIds()
    chain.CopyFrom(carried)
    chain.contact_id = request.contact_id
    return Order(
        contact_id=request.contact_id,
        customer_id=request.customer_id,
        staff_id=request.staff_id,
        text=request.text,
        chain=chain,
    )


def page(request: wecom_pb2.ListMyMessageTasksRequest) -> PageRequest:
    """The page asked for; its token holds for the same member alone."""
    listing = f"message-tasks\n{request.staff_id}"
    return PageRequest(listing=listing, size=request.page_size, token=request.page_token)


def message_task(task: MessageTask) -> wecom_pb2.MessageTask:
    """A message task as the contract shows it."""
    message = wecom_pb2.MessageTask(
        message_task_id=task.message_task_id,
        contact_id=task.contact_id,
        customer_id=task.customer_id,
        staff_id=task.staff_id,
        msgid=task.msgid,
        state=task.standing.state,
        result_code=task.standing.result_code,
        chain=task.chain,
        reminders=task.reminders,
    )
    message.create_time.FromDatetime(task.create_time)
    message.update_time.FromDatetime(task.update_time)
    return message


def changed(task: MessageTask) -> Event:
    """The event that tells where the task stands now."""
    payload = wecom_pb2.MessageTaskChanged(message_task=message_task(task))
    return event(payload, key=task.customer_id, chain=task.chain)
