"""What the front line does with its tasks, and what customers and outside parties do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bank.inflow import ROBOT_ID, Cast
from cli.loop._strategy import Strategy
from cli.loop.desks import ENDED, GREETING, USERNAMES, Desk, Words
from cli.loop.people import People, request_id, together, tried, until
from cli.names import LOADER
from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from engine.reach.v1 import reach_pb2
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2

if TYPE_CHECKING:
    from engine.benefits.v1.benefits_pb2_grpc import BenefitsServiceAsyncStub
    from engine.simulator.v1.simulator_pb2_grpc import WecomSimulatorServiceAsyncStub

OFFER: Final = GREETING | {"product_name": "稳利三十天"}
LEASE_S: Final = 3_600
MOST_LEASED: Final = 200


class FrontLine:
    """Works the tasks of one run."""

    def __init__(self, people: People, parts: Cast, strategy: Strategy) -> None:
        self._people = people
        self._parts = parts
        self._strategy = strategy
        self._desks = {staff_id: Desk(people, name) for staff_id, name in USERNAMES.items()}
        self._tasks: dict[int, action_pb2.Task] = {}
        self._contacts: dict[int, reach_pb2.Contact] = {}

    async def arrive(self) -> None:
        """Sign everybody on."""
        await self._people.sign_on(USERNAMES.values())

    async def disturb(self) -> None:
        """Contact those who will be contacted too often, before the scene does."""
        words = Words(script_id=self._strategy.service_script_id, slots=GREETING)

        async def write(token: int) -> None:
            await self._desk(token).text(token, words)

        await together(self._parts.denied, write)

    async def open_desks(self, live: int) -> Mapping[int, action_pb2.Task]:
        """Everybody's open tasks by customer, once there are `live` of them."""
        tasks = await until(self._open_tasks, lambda found: len(found) >= live)
        self._tasks = {task.customer_id: task for task in tasks}
        await self._desks[ROBOT_ID].lease(MOST_LEASED, LEASE_S)
        return self._tasks

    async def attempt(self) -> None:
        """Start the tasks and contact their customers, each by the way of his part."""
        ways = {
            **dict.fromkeys(self._parts.wecom, Desk.write),
            **dict.fromkeys(self._parts.calls, Desk.dial),
            **dict.fromkeys((*self._parts.deferred, *self._parts.denied), Desk.text),
        }

        async def attempt(token: int) -> None:
            task_id = self._tasks[token].task_id
            await self._desk(token).start(task_id)
            self._contacts[token] = await ways[token](
                self._desk(token), token, self._words(task_id)
            )

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
            self._contacts[token] = await self._desk(token).ended(self._contacts[token])

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
            task_id = self._tasks[token].task_id
            await self._desk(token).complete(task_id, outcome, contact.contact_id)

        ended = [token for token, contact in self._contacts.items() if contact.state in ENDED]
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
            username = USERNAMES[self._parts.owners[token].staff_id]
            benefits: BenefitsServiceAsyncStub = benefits_pb2_grpc.BenefitsServiceStub(
                self._people.as_user(username, "benefits")
            )
            await tried(lambda: benefits.Claim(request))

        await together(self._parts.claims, claim)

    async def _open_tasks(self) -> list[action_pb2.Task]:
        scene_id = self._strategy.scene_id
        desks = await together(self._desks.values(), lambda desk: desk.open_tasks(scene_id))
        return [task for desk in desks for task in desk]

    async def _message_tasks(self) -> list[wecom_pb2.MessageTask]:
        """What waits in everybody's WeCom of the contacts made here."""
        members = [desk for staff_id, desk in self._desks.items() if staff_id != ROBOT_ID]
        found = await together(members, Desk.message_tasks)
        ours = {contact.contact_id for contact in self._contacts.values()}
        return [task for tasks in found for task in tasks if task.contact_id in ours and task.msgid]

    def _sent(self) -> int:
        return sum(token in self._contacts for token in self._parts.wecom)

    def _words(self, task_id: int) -> Words:
        return Words(
            script_id=self._strategy.script_id,
            slots=OFFER,
            product_id=self._strategy.product_id,
            task_id=task_id,
        )

    def _desk(self, token: int) -> Desk:
        return self._desks[self._parts.owners[token].staff_id]
