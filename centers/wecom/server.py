"""WeCom itself as the adapter sees it: the service "wecom-server", real or played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from msgspec.structs import replace

from centers.wecom.domain import MessageTask
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from mesh import context

NAME: Final = "wecom-server"
TIMEOUT_S: Final = 2.0
RIGHT: Final = "simulator.use"


class WecomServer:
    """Calls WeCom over a channel, for the adapter itself, as part of the task's chain."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = simulator_pb2_grpc.WecomSimulatorServiceStub(channel)

    async def add(self, task: MessageTask) -> str:
        """Create the task; the same contact again is the same task. Answers its msgid.

        Raises:
            grpc.aio.AioRpcError: WeCom refuses, or cannot be reached.
        """
        request = simulator_pb2.AddMessageTaskRequest(
            contact_id=task.contact_id,
            external_userid=task.external_userid,
            userid=task.userid,
            text=task.text,
        )
        with _as_part_of(task):
            answer = await self._stub.AddMessageTask(request, timeout=TIMEOUT_S)
        return answer.msgid

    async def remind(self, task: MessageTask) -> None:
        """Remind the member of a task with a msgid.

        Raises:
            grpc.aio.AioRpcError: as above.
        """
        request = simulator_pb2.RemindMemberRequest(msgid=task.msgid)
        with _as_part_of(task):
            await self._stub.RemindMember(request, timeout=TIMEOUT_S)

    async def cancel(self, task: MessageTask) -> bool:
        """Cancel a task with a msgid; False when its member had confirmed it.

        Raises:
            grpc.aio.AioRpcError: as above.
        """
        request = simulator_pb2.CancelTaskRequest(msgid=task.msgid)
        with _as_part_of(task):
            answer = await self._stub.CancelTask(request, timeout=TIMEOUT_S)
        return answer.cancelled


@contextmanager
def _as_part_of(task: MessageTask) -> Iterator[None]:
    """Calls in the block are the service's own, and carry the task's chain."""
    with context.as_service() as own, context.using(replace(own, chain=task.chain)):
        yield
