"""The bank's WeCom adapter as WeCom sees it: where callbacks go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import grpc

from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc
from simulators.reports import Report
from simulators.wecom.domain import MessageTask, Sending

TIMEOUT_S: Final = 5.0
"""As WeCom waits for an answer."""

RIGHT: Final = "wecom.callback"


class Callbacks:
    """Sends callbacks over a channel to the adapter (`simulators.courier.Send`)."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = wecom_pb2_grpc.WecomServiceStub(channel)

    async def send(self, payload: bytes) -> None:
        """Call back once.

        Raises:
            grpc.aio.AioRpcError: it is not accepted.
        """
        request = wecom_pb2.ReceiveCallbackRequest.FromString(payload)
        await self._stub.ReceiveCallback(request, timeout=TIMEOUT_S)


def callbacks(sending: Sending, now: datetime) -> Sequence[Report]:
    """What WeCom tells of a task that was confirmed: that it was, and what came of it."""
    outcome = "failed" if sending.result_code else "delivered"
    return (
        _callback(sending.task, "confirmed", "", now),
        _callback(sending.task, outcome, sending.result_code, now),
    )


def _callback(task: MessageTask, change: str, code: str, now: datetime) -> Report:
    request = wecom_pb2.ReceiveCallbackRequest(
        msgid=task.msgid,
        external_userid=task.external_userid,
        change_type=change,
        result_code=code,
    )
    request.time.FromDatetime(now)
    return Report(key=task.contact_id, payload=request.SerializeToString())
