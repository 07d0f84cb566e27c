"""The reach centre as a carrier sees it: where reports of contacts go."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import grpc

from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from simulators.reports import Report

TIMEOUT_S: Final = 5.0
RIGHT: Final = "reach.report"
"""What a simulator's blueprint must name to report."""


class ReachReports:
    """Sends reports over a channel to the reach centre (`simulators.courier.Send`)."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = reach_pb2_grpc.ReachServiceStub(channel)

    async def send(self, payload: bytes) -> None:
        """Tell one report.

        Raises:
            grpc.aio.AioRpcError: it is not accepted.
        """
        request = reach_pb2.ReportDeliveryRequest.FromString(payload)
        await self._stub.ReportDelivery(request, timeout=TIMEOUT_S)


def sent(contact_id: int) -> Report:
    """The carrier accepted it."""
    return _report(
        reach_pb2.ReportDeliveryRequest(contact_id=contact_id, state=reach_pb2.CONTACT_STATE_SENT)
    )


def delivered(contact_id: int, talk_time: timedelta | None = None) -> Report:
    """It arrived; a call: somebody answered, and talked so long."""
    request = reach_pb2.ReportDeliveryRequest(
        contact_id=contact_id, state=reach_pb2.CONTACT_STATE_DELIVERED
    )
    if talk_time is not None:
        request.talk_time.FromTimedelta(talk_time)
    return _report(request)


def failed(contact_id: int, result_code: str) -> Report:
    """It did not arrive, and why."""
    return _report(
        reach_pb2.ReportDeliveryRequest(
            contact_id=contact_id,
            state=reach_pb2.CONTACT_STATE_FAILED,
            result_code=result_code,
        )
    )


def _report(request: reach_pb2.ReportDeliveryRequest) -> Report:
    return Report(key=request.contact_id, payload=request.SerializeToString())
