"""The desks of the front line: what one of its members does with tasks and contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bank.inflow import AGENT_IDS, MANAGERS, ROBOT_ID
from cli.loop.people import People, request_id, tried, until
from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc

if TYPE_CHECKING:
    from engine.action.v1.action_pb2_grpc import TaskServiceAsyncStub
    from engine.reach.v1.reach_pb2_grpc import ReachServiceAsyncStub
    from engine.wecom.v1.wecom_pb2_grpc import WecomServiceAsyncStub

USERNAMES: Final[Mapping[int, str]] = {
    **{number: f"rm{number:03}" for number in range(1, MANAGERS + 1)},
    **{staff_id: f"do{place:03}" for place, staff_id in enumerate(AGENT_IDS, 1)},
    ROBOT_ID: "bot001",
}
"""Demo users by staff number."""

GREETING: Final = {"greeting": "您好"}
PAGE: Final = 1_000

ENDED: Final = frozenset(
    {
        reach_pb2.CONTACT_STATE_DELIVERED,
        reach_pb2.CONTACT_STATE_FAILED,
        reach_pb2.CONTACT_STATE_EXPIRED,
        reach_pb2.CONTACT_STATE_CANCELLED,
    }
)
"""States of contacts that went out, or will not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is said: a script with its slots, of a product, for a task; 0 for none."""

    script_id: int
    slots: Mapping[str, str]
    product_id: int = 0
    task_id: int = 0

    @property
    def content(self) -> reach_pb2.Content:
        """As the reach centre reads it."""
        return reach_pb2.Content(material_id=self.script_id, slots=self.slots)


class Desk:
    """The desk of one demo user, who must be signed on."""

    def __init__(self, people: People, username: str) -> None:
        self._tasks: TaskServiceAsyncStub = action_pb2_grpc.TaskServiceStub(
            people.as_user(username, "action")
        )
        self._reach: ReachServiceAsyncStub = reach_pb2_grpc.ReachServiceStub(
            people.as_user(username, "reach")
        )
        self._wecom: WecomServiceAsyncStub = wecom_pb2_grpc.WecomServiceStub(
            people.as_user(username, "wecom")
        )

    async def open_tasks(self, scene_id: int) -> list[action_pb2.Task]:
        """All open tasks of a scene."""
        found: list[action_pb2.Task] = []
        request = action_pb2.ListMyTasksRequest(scene_id=scene_id, page_size=PAGE)
        while True:
            page = await tried(lambda: self._tasks.ListMyTasks(request))
            found.extend(page.tasks)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def task_view(self, task_id: int) -> action_pb2.TaskView:
        """What its owner sees of a task."""
        request = action_pb2.GetTaskRequest(task_id=task_id)
        return (await tried(lambda: self._tasks.GetTask(request))).task_view

    async def start(self, task_id: int) -> None:
        """Begin a task."""
        request = action_pb2.StartTaskRequest(task_id=task_id, request_id=request_id())
        await tried(lambda: self._tasks.StartTask(request))

    async def lease(self, most: int, lease_s: int) -> None:
        """As a robot, lease tasks of the pool."""
        request = action_pb2.LeaseTasksRequest(max_tasks=most, request_id=request_id())
        request.lease_time.FromSeconds(lease_s)
        await tried(lambda: self._tasks.LeaseTasks(request))

    async def complete(
        self, task_id: int, outcome: action_pb2.Outcome.ValueType, contact_id: int
    ) -> None:
        """End a task, with the contact that proves it."""
        request = action_pb2.CompleteTaskRequest(
            task_id=task_id, outcome=outcome, contact_id=contact_id, request_id=request_id()
        )
        await tried(lambda: self._tasks.CompleteTask(request))

    async def text(self, token: int, words: Words) -> reach_pb2.Contact:
        """Ask for a text message; admitted or not."""
        request = reach_pb2.SendSmsRequest(
            customer_id=token,
            content=words.content,
            task_id=words.task_id,
            product_id=words.product_id,
            request_id=request_id(),
        )
        return (await tried(lambda: self._reach.SendSms(request))).contact

    async def write(self, token: int, words: Words) -> reach_pb2.Contact:
        """Ask for a WeCom message; admitted or not."""
        request = reach_pb2.SendWecomRequest(
            customer_id=token,
            content=words.content,
            task_id=words.task_id,
            product_id=words.product_id,
            request_id=request_id(),
        )
        return (await tried(lambda: self._reach.SendWecom(request))).contact

    async def dial(self, token: int, words: Words) -> reach_pb2.Contact:
        """Ask for a call; admitted or not."""
        request = reach_pb2.ClickToDialRequest(
            customer_id=token,
            content=words.content,
            task_id=words.task_id,
            product_id=words.product_id,
            request_id=request_id(),
        )
        return (await tried(lambda: self._reach.ClickToDial(request))).contact

    async def ended(self, contact: reach_pb2.Contact) -> reach_pb2.Contact:
        """The contact once it has ended, one way or the other."""
        request = reach_pb2.GetContactRequest(
            customer_id=contact.customer_id, contact_id=contact.contact_id
        )
        answer = await until(
            lambda: self._reach.GetContact(request), lambda found: found.contact.state in ENDED
        )
        return answer.contact

    async def message_tasks(self) -> Sequence[wecom_pb2.MessageTask]:
        """What waits in his WeCom for his confirmation."""
        request = wecom_pb2.ListMyMessageTasksRequest(page_size=PAGE)
        return (await tried(lambda: self._wecom.ListMyMessageTasks(request))).message_tasks
