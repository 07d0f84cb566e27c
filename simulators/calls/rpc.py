"""The call platform's contract: messages to use cases and back."""

from __future__ import annotations

from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from simulators.calls.domain import Plan
from simulators.calls.service import Platform


class CallRpc(simulator_pb2_grpc.CallSimulatorServiceServicer):
    """Serves `engine.simulator.v1.CallSimulatorService`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def Dial(
        self, request: simulator_pb2.DialRequest, _: object
    ) -> simulator_pb2.DialResponse:
        call = await self._platform.dial(request.contact_id, request.customer_id, request.staff_id)
        return simulator_pb2.DialResponse(call_id=call.call_id)

    async def PlanCalls(
        self, request: simulator_pb2.PlanCallsRequest, _: object
    ) -> simulator_pb2.PlanCallsResponse:
        await self._platform.plan([_plan(plan) for plan in request.plans])
        return simulator_pb2.PlanCallsResponse()


def _plan(plan: simulator_pb2.CallPlan) -> Plan:
    return Plan(
        customer_id=plan.customer_id,
        answered=plan.answered,
        talk_time=plan.talk_time.ToTimedelta(),
    )
