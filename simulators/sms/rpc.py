"""The carrier's contract: messages to use cases and back."""

from __future__ import annotations

from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from mesh.clock import to_micros
from simulators.sms.domain import Message, Plan
from simulators.sms.service import Carrier


class SmsRpc(simulator_pb2_grpc.SmsSimulatorServiceServicer):
    """Serves `engine.simulator.v1.SmsSimulatorService`."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def SendMessage(
        self, request: simulator_pb2.SendMessageRequest, _: object
    ) -> simulator_pb2.SendMessageResponse:
        message = await self._carrier.accept(request.contact_id, request.customer_id, request.text)
        return simulator_pb2.SendMessageResponse(message_id=message.message_id)

    async def PlanMessages(
        self, request: simulator_pb2.PlanMessagesRequest, _: object
    ) -> simulator_pb2.PlanMessagesResponse:
        await self._carrier.plan([_plan(plan) for plan in request.plans])
        return simulator_pb2.PlanMessagesResponse()

    async def ListMessages(
        self, request: simulator_pb2.ListMessagesRequest, _: object
    ) -> simulator_pb2.ListMessagesResponse:
        found = await self._carrier.messages(request.customer_ids)
        return simulator_pb2.ListMessagesResponse(messages=map(_sent, found))


def _plan(plan: simulator_pb2.MessagePlan) -> Plan:
    return Plan(
        customer_id=plan.customer_id, delivered=plan.delivered, result_code=plan.result_code
    )


def _sent(message: Message) -> simulator_pb2.SentMessage:
    return simulator_pb2.SentMessage(
        contact_id=message.contact_id,
        customer_id=message.customer_id,
        text_sha256=message.text_sha256,
        accepted_us=to_micros(message.accept_time),
    )
