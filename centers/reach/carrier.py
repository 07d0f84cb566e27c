"""Outside parties, each behind one face: they carry contacts, and one takes them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import grpc

from centers.reach.domain import Channel, Contact, Report, State
from centers.reach.errand import PARTY_TIMEOUT_S
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc

WECOM_STATES: Final[Mapping[int, State]] = {
    int(wecom_pb2.MESSAGE_TASK_STATE_CONFIRMED): State.SENT,
    int(wecom_pb2.MESSAGE_TASK_STATE_DELIVERED): State.DELIVERED,
    int(wecom_pb2.MESSAGE_TASK_STATE_FAILED): State.FAILED,
    int(wecom_pb2.MESSAGE_TASK_STATE_CANCELLED): State.CANCELLED,
}
"""What states of a message task mean for its contact; others mean that it waits."""


class Carrier(Protocol):
    """Takes a contact over. The contact's id is the key: the same again does no harm."""

    async def carry(self, contact: Contact, text: str) -> Report | None:
        """What is known of it at once; None when nothing is before it reports.

        Raises:
            grpc.aio.AioRpcError: it refuses, or cannot be reached.
        """


class Sms:
    """The carrier of text messages."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = simulator_pb2_grpc.SmsSimulatorServiceStub(channel)

    async def carry(self, contact: Contact, text: str) -> Report | None:
        """Hand a message over: it is sent once it is accepted."""
        request = simulator_pb2.SendMessageRequest(
            contact_id=contact.contact_id, customer_id=contact.customer_id, text=text
        )
        await self._stub.SendMessage(request, timeout=PARTY_TIMEOUT_S)
        return Report(state=State.SENT)


class Calls:
    """The call platform."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = simulator_pb2_grpc.CallSimulatorServiceStub(channel)

    async def carry(self, contact: Contact, text: str) -> Report | None:  # noqa: ARG002 - spoken
        """Begin a call; what came of it is reported when it has ended."""
        request = simulator_pb2.DialRequest(
            contact_id=contact.contact_id,
            customer_id=contact.customer_id,
            staff_id=contact.staff_id,
        )
        await self._stub.Dial(request, timeout=PARTY_TIMEOUT_S)
        return None


class Wecom:
    """The WeCom centre."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = wecom_pb2_grpc.WecomServiceStub(channel)

    async def carry(self, contact: Contact, text: str) -> Report | None:
        """Create the message task; it waits for its member."""
        request = wecom_pb2.CreateMessageTaskRequest(
            contact_id=contact.contact_id,
            customer_id=contact.customer_id,
            staff_id=contact.staff_id,
            text=text,
        )
        await self._stub.CreateMessageTask(request, timeout=PARTY_TIMEOUT_S)
        return Report(state=State.AWAIT_STAFF_CONFIRM)

    async def withdraw(self, contact_id: int) -> Report | None:
        """What became of a message that must not go out; None when WeCom has not let go of it."""
        request = wecom_pb2.CancelMessageTaskRequest(contact_id=contact_id)
        answer = await self._stub.CancelMessageTask(request, timeout=PARTY_TIMEOUT_S)
        return told(answer.message_task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriers:
    """All of them."""

    sms: Carrier
    calls: Carrier
    wecom: Carrier

    def of(self, channel: Channel) -> Carrier:
        """Who carries contacts of a channel."""
        if channel is Channel.SMS:
            return self.sms
        return self.wecom if channel is Channel.WECOM else self.calls


def told(message_task: wecom_pb2.MessageTask) -> Report | None:
    """What a message task tells of its contact; None while it waits."""
    state = WECOM_STATES.get(message_task.state)
    return None if state is None else Report(state=state, result_code=message_task.result_code)
