"""What the front line does with its tasks, and what customers and outside parties do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from bank.inflow import AGENT_IDS, MANAGERS, ROBOT_ID, Cast
from cli.loop._population import request_id
from cli.loop._strategy import Strategy
from cli.loop.people import People, together, tried, until
from cli.names import LOADER
from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from engine.reach.v1 import reach_pb2, reach_pb2_grpc
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc

if TYPE_CHECKING:
    from engine.action.v1.action_pb2_grpc import TaskServiceAsyncStub
    from engine.benefits.v1.benefits_pb2_grpc import BenefitsServiceAsyncStub
    from engine.reach.v1.reach_pb2_grpc import ReachServiceAsyncStub
    from engine.simulator.v1.simulator_pb2_grpc import WecomSimulatorServiceAsyncStub
    from engine.wecom.v1.wecom_pb2_grpc import WecomServiceAsyncStub

USERNAMES: Final[Mapping[int, str]] = {
    **{number: f"rm{number:03}" for number in range(1, MANAGERS + 1)},
    **{staff_id: f"do{place:03}" for place, staff_id in enumerate(AGENT_IDS, 1)},
    ROBOT_ID: "bot001",
}
"""Demo users by staff number."""

GREETING: Final = {"greeting": "您好"}
OFFER: Final = GREETING | {"product_name": "稳利三十天"}
PAGE: Final = 1_000
LEASE_S: Final = 3_600

_SETTLED: Final = frozenset(
    {
        reach_pb2.CONTACT_STATE_DELIVERED,
        reach_pb2.CONTACT_STATE_FAILED,
        reach_pb2.CONTACT_STATE_EXPIRED,
    }
)

Send: TypeAlias = (
    "reach_pb2.SendWecomRequest | reach_pb2.ClickToDialRequest | reach_pb2.SendSmsRequest"
)


class FrontLine:
    """Works the tasks of one run."""

    def __init__(self, people: People, parts: Cast, strategy: Strategy) -> None:
        self._people = people
        self._parts = parts
        self._strategy = strategy
        self._tasks: dict[int, action_pb2.Task] = {}
        self._contacts: dict[int, reach_pb2.Contact] = {}

    async def arrive(self) -> None:
        """Sign everybody on."""
        await self._people.sign_on(USERNAMES.values())

    async def disturb(self) -> None:
        """Contact those who will be contacted too often, before the scene does."""
        content = reach_pb2.Content(material_id=self._strategy.service_script_id, slots=GREETING)

        async def write(token: int) -> None:
            request = reach_pb2.SendSmsRequest(
                customer_id=token, content=content, request_id=request_id()
            )
            await tried(lambda: self._reach(token).SendSms(request))

        await together(self._parts.denied, write)

    async def open_desks(self, live: int) -> Mapping[int, action_pb2.Task]:
        """Everybody's open tasks by customer, once there are `live` of them."""
        tasks = await until(self._open_tasks, lambda found: len(found) >= live)
        self._tasks = {task.customer_id: task for task in tasks}
        await self._lease()
        return self._tasks

    async def attempt(self) -> None:
        """Start the tasks and contact their customers, each by the way of his part."""
        ways = {
            **dict.fromkeys(self._parts.wecom, self._send_wecom),
            **dict.fromkeys(self._parts.calls, self._dial),
            **dict.fromkeys((*self._parts.deferred, *self._parts.denied), self._send_sms),
        }

        async def attempt(token: int) -> None:
            task = self._tasks[token]
            start = action_pb2.StartTaskRequest(task_id=task.task_id, request_id=request_id())
            await tried(lambda: self._desk(token).StartTask(start))
            self._contacts[token] = await ways[token](token, task.task_id)

        await together((token for token in ways if token in self._tasks), attempt)

    async def confirm(self) -> None:
        """Staff press "send" in their WeCom, for those who will."""
        waiting = await until(self._message_tasks, lambda found: len(found) >= self._sent())
        by_member: dict[int, list[str]] = {}
        for task in waiting:
            if task.customer_id in self._parts.wecom_confirmed:
                by_member.setdefault(task.staff_id, []).append(task.msgid)
        server: WecomSimulatorServiceAsyncStub = simulator_pb2_grpc.WecomSimulatorServiceStub(
            self._people.as_local(LOADER, "wecom-server")
        )

        async def press(pressed: tuple[int, Sequence[str]]) -> None:
            staff_id, msgids = pressed
            request = simulator_pb2.ConfirmTasksRequest(userid=f"staff-{staff_id}", msgids=msgids)
            await tried(lambda: server.ConfirmTasks(request))

        await together(by_member.items(), press)

    async def settle(self) -> None:
        """Wait until what went out has ended, one way or the other."""
        outgoing = [
            token
            for token, contact in self._contacts.items()
            if token in self._parts.wecom_confirmed or token in set(self._parts.calls)
            if contact.receipt.decision == reach_pb2.ADMISSION_DECISION_ADMITTED
        ]

        async def wait(token: int) -> None:
            request = reach_pb2.GetContactRequest(
                customer_id=token, contact_id=self._contacts[token].contact_id
            )
            answer = await until(
                lambda: self._reach(token).GetContact(request),
                lambda found: found.contact.state in _SETTLED,
            )
            self._contacts[token] = answer.contact

        await together(outgoing, wait)

    async def complete(self) -> None:
        """End the tasks whose contacts have ended, with what came of them."""
        intent = set(self._parts.intent)

        async def complete(token: int) -> None:
            contact = self._contacts[token]
            if not contact.reached:
                outcome = action_pb2.OUTCOME_UNREACHABLE
            elif token in intent:
                outcome = action_pb2.OUTCOME_INTERESTED
            else:
                outcome = action_pb2.OUTCOME_NO_INTENT
            request = action_pb2.CompleteTaskRequest(
                task_id=self._tasks[token].task_id,
                outcome=outcome,
                contact_id=contact.contact_id,
                request_id=request_id(),
            )
            await tried(lambda: self._desk(token).CompleteTask(request))

        ended = [token for token, contact in self._contacts.items() if contact.state in _SETTLED]
        await together(ended, complete)

    async def claim(self) -> None:
        """Those who press "claim" claim the benefit."""

        async def claim(token: int) -> None:
            task_id = self._tasks[token].task_id
            request = benefits_pb2.ClaimRequest(
                activity_id=self._strategy.activity_id,
                customer_id=token,
                reason_key=f"task-{task_id}",
                task_id=task_id,
                request_id=request_id(),
            )
            benefits: BenefitsServiceAsyncStub = benefits_pb2_grpc.BenefitsServiceStub(
                self._people.as_user(self._user(token), "benefits")
            )
            await tried(lambda: benefits.Claim(request))

        await together(self._parts.claims, claim)

    async def task_views(self) -> Sequence[action_pb2.TaskView]:
        """What the owner of the first task sees of it: name and number masked, amount clear."""
        token = next(token for token in self._parts.wecom if token in self._tasks)
        request = action_pb2.GetTaskRequest(task_id=self._tasks[token].task_id)
        answer = await tried(lambda: self._desk(token).GetTask(request))
        return [answer.task_view]

    async def _open_tasks(self) -> list[action_pb2.Task]:
        desks = await together(USERNAMES.values(), self._open_tasks_of)
        return [task for desk in desks for task in desk]

    async def _open_tasks_of(self, username: str) -> list[action_pb2.Task]:
        desk: TaskServiceAsyncStub = action_pb2_grpc.TaskServiceStub(
            self._people.as_user(username, "action")
        )
        found: list[action_pb2.Task] = []
        request = action_pb2.ListMyTasksRequest(scene_id=self._strategy.scene_id, page_size=PAGE)
        while True:
            page = await tried(lambda: desk.ListMyTasks(request))
            found.extend(page.tasks)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return found

    async def _lease(self) -> None:
        """The robot leases the tasks of its pool."""
        desk: TaskServiceAsyncStub = action_pb2_grpc.TaskServiceStub(
            self._people.as_user(USERNAMES[ROBOT_ID], "action")
        )
        request = action_pb2.LeaseTasksRequest(max_tasks=200, request_id=request_id())
        request.lease_time.FromSeconds(LEASE_S)
        await tried(lambda: desk.LeaseTasks(request))

    async def _message_tasks(self) -> list[wecom_pb2.MessageTask]:
        """What waits in everybody's WeCom of the contacts made here."""
        members = [name for staff_id, name in USERNAMES.items() if staff_id != ROBOT_ID]
        found = await together(members, self._message_tasks_of)
        ours = {contact.contact_id for contact in self._contacts.values()}
        return [task for tasks in found for task in tasks if task.contact_id in ours and task.msgid]

    async def _message_tasks_of(self, username: str) -> Sequence[wecom_pb2.MessageTask]:
        wecom: WecomServiceAsyncStub = wecom_pb2_grpc.WecomServiceStub(
            self._people.as_user(username, "wecom")
        )
        request = wecom_pb2.ListMyMessageTasksRequest(page_size=PAGE)
        return (await tried(lambda: wecom.ListMyMessageTasks(request))).message_tasks

    def _sent(self) -> int:
        return sum(token in self._contacts for token in self._parts.wecom)

    async def _send_wecom(self, token: int, task_id: int) -> reach_pb2.Contact:
        request = reach_pb2.SendWecomRequest(
            customer_id=token,
            content=reach_pb2.Content(material_id=self._strategy.script_id, slots=OFFER),
            task_id=task_id,
            product_id=self._strategy.product_id,
            request_id=request_id(),
        )
        return (await tried(lambda: self._reach(token).SendWecom(request))).contact

    async def _dial(self, token: int, task_id: int) -> reach_pb2.Contact:
        request = reach_pb2.ClickToDialRequest(
            customer_id=token,
            content=reach_pb2.Content(material_id=self._strategy.script_id, slots=OFFER),
            task_id=task_id,
            product_id=self._strategy.product_id,
            request_id=request_id(),
        )
        return (await tried(lambda: self._reach(token).ClickToDial(request))).contact

    async def _send_sms(self, token: int, task_id: int) -> reach_pb2.Contact:
        request = reach_pb2.SendSmsRequest(
            customer_id=token,
            content=reach_pb2.Content(material_id=self._strategy.script_id, slots=OFFER),
            task_id=task_id,
            product_id=self._strategy.product_id,
            request_id=request_id(),
        )
        return (await tried(lambda: self._reach(token).SendSms(request))).contact

    def _user(self, token: int) -> str:
        return USERNAMES[self._parts.owners[token].staff_id]

    def _desk(self, token: int) -> TaskServiceAsyncStub:
        return action_pb2_grpc.TaskServiceStub(self._people.as_user(self._user(token), "action"))

    def _reach(self, token: int) -> ReachServiceAsyncStub:
        return reach_pb2_grpc.ReachServiceStub(self._people.as_user(self._user(token), "reach"))
