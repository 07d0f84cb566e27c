"""Who works tasks: relationship managers, agents, the robot; and the managers of their branches."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final

import gevent
from google.protobuf.message import Message
from locust import task

from engine.action.v1 import action_pb2
from engine.benefits.v1 import benefits_pb2
from engine.performance.v1 import performance_pb2
from engine.reach.v1 import reach_pb2
from engine.simulator.v1 import simulator_pb2
from engine.wecom.v1 import wecom_pb2
from loadtests.contracts import request_id
from loadtests.people import AGENTS, LOADER, MANAGERS, ROBOT, Member
from loadtests.users.loop import LoopUser

PAGE: Final = 50
LOOKS: Final = 8
LOOK_S: Final = 0.25
PARTS: Final = 10
HANDED_OVER: Final = 0
"""Customers whose tasks a branch manager moves: one in ten, and nobody works them."""

REMINDED_OF: Final = 4
"""One WeCom message in so many is not confirmed, so that there is one to be reminded of."""

TASK_GONE: Final = frozenset({"TASK_CLOSED", "TASK_NOT_YOURS", "OUT_OF_SCOPE"})
"""The money went back, or another one was quicker."""

CLAIM_REFUSED: Final = frozenset({"TASK_WITHDRAWN", "LIMIT_REACHED"})
GRANT_GONE: Final = frozenset({"NOT_GRANTED"})
REMINDER_REFUSED: Final = frozenset({"REMINDED_ENOUGH", "MESSAGE_TASK_CLOSED"})

_SETTLED: Final = frozenset(
    {
        reach_pb2.CONTACT_STATE_DELIVERED,
        reach_pb2.CONTACT_STATE_FAILED,
        reach_pb2.CONTACT_STATE_EXPIRED,
    }
)


class DeskUser(LoopUser):
    """Carries one task from its start to its evidence."""

    abstract = True
    me: Member

    def work(self, task_id: int, customer_id: int, way: type[Message]) -> None:
        """Start the task, contact the customer, end it with what came of that."""
        begun = self.ask(
            self.me.username,
            action_pb2.StartTaskRequest(task_id=task_id, request_id=request_id()),
            TASK_GONE,
        )
        if begun is None:
            return
        contact = self._contact(task_id, customer_id, way)
        if contact is None or contact.receipt.decision != reach_pb2.ADMISSION_DECISION_ADMITTED:
            return  # refused by a rule, or put off: the task stays
        settled = self._settle(contact)
        if settled.state in _SETTLED and self._complete(task_id, settled) and settled.reached:
            self._claim(task_id, customer_id)

    def _contact(self, task_id: int, customer_id: int, way: type[Message]) -> Any:
        request = way(
            customer_id=customer_id,
            content=self.stage.content,
            task_id=task_id,
            product_id=self.stage.product_id,
            request_id=request_id(),
        )
        answer = self.ask(self.me.username, request, TASK_GONE)
        return answer and answer.contact

    def _settle(self, contact: reach_pb2.Contact) -> reach_pb2.Contact:
        """Wait, though not for long, until something came of it."""
        request = reach_pb2.GetContactRequest(
            customer_id=contact.customer_id, contact_id=contact.contact_id
        )
        confirms = bool(secrets.randbelow(REMINDED_OF))
        for _ in range(LOOKS):
            gevent.sleep(LOOK_S)
            contact = self.ask(self.me.username, request).contact
            if contact.state in _SETTLED:
                break
            if contact.state == reach_pb2.CONTACT_STATE_AWAIT_STAFF_CONFIRM and confirms:
                self._confirm(contact.contact_id)
        return contact

    def _confirm(self, contact_id: int) -> None:
        """Press "send" in one's WeCom, once the message is there."""
        waiting = [task for task in self.messages() if task.contact_id == contact_id and task.msgid]
        if waiting:
            request = simulator_pb2.ConfirmTasksRequest(
                userid=f"staff-{self.me.staff_id}", msgids=[task.msgid for task in waiting]
            )
            self.people.ask(LOADER, request)

    def messages(self) -> Sequence[wecom_pb2.MessageTask]:
        """What waits in one's WeCom."""
        request = wecom_pb2.ListMyMessageTasksRequest(page_size=1_000)
        messages: Sequence[wecom_pb2.MessageTask] = self.ask(
            self.me.username, request
        ).message_tasks
        return messages

    def _complete(self, task_id: int, contact: reach_pb2.Contact) -> bool:
        outcome = action_pb2.OUTCOME_INTERESTED
        if not contact.reached:
            outcome = action_pb2.OUTCOME_UNREACHABLE
        request = action_pb2.CompleteTaskRequest(
            task_id=task_id,
            outcome=outcome,
            contact_id=contact.contact_id,
            request_id=request_id(),
        )
        return self.ask(self.me.username, request, TASK_GONE) is not None

    def _claim(self, task_id: int, customer_id: int) -> None:
        """Claim the benefit; some use it, some lose it again to head office."""
        claim = benefits_pb2.ClaimRequest(
            activity_id=self.stage.activity_id,
            customer_id=customer_id,
            reason_key=f"task-{task_id}",
            task_id=task_id,
            request_id=request_id(),
        )
        answer = self.ask(self.me.username, claim, CLAIM_REFUSED)
        if answer is None:
            return
        grant_id = answer.grant.grant_id
        self.ask(self.me.username, benefits_pb2.GetGrantRequest(grant_id=grant_id))
        if secrets.randbelow(2):
            redeem = benefits_pb2.RedeemGrantRequest(grant_id=grant_id, request_id=request_id())
            self.ask(self.me.username, redeem, GRANT_GONE)
        else:
            self.handed.grants.append(grant_id)


class FrontLineUser(DeskUser):
    """A relationship manager or an agent of direct operations."""

    weight = 3
    _members = cycle((*MANAGERS, *AGENTS))
    _ways = (
        reach_pb2.SendSmsRequest,
        reach_pb2.SendWecomRequest,
        reach_pb2.ClickToDialRequest,
    )

    def on_start(self) -> None:
        """Be the next one of them."""
        self.me = next(self._members)

    @task(8)
    def work_a_task(self) -> None:
        """Look at the list, open a task, see how the customer may be reached, and do it."""
        listing = action_pb2.ListMyTasksRequest(scene_id=self.stage.scene_id, page_size=PAGE)
        tasks = self.ask(self.me.username, listing).tasks
        if not tasks:
            return
        chosen = secrets.choice(tasks)
        if chosen.customer_id % PARTS == HANDED_OVER:
            self.handed.tasks.append(chosen)
            return
        view = self.ask(self.me.username, action_pb2.GetTaskRequest(task_id=chosen.task_id))
        assert view.task_view.task.customer_id == chosen.customer_id, "Another task"
        check = reach_pb2.CheckContactableRequest(customer_id=chosen.customer_id)
        self.ask(self.me.username, check)
        self.work(chosen.task_id, chosen.customer_id, secrets.choice(self._ways))

    @task(1)
    def be_reminded(self) -> None:
        """Have WeCom remind oneself of a message that waits."""
        waiting = [message for message in self.messages() if message.msgid]
        if waiting:
            remind = wecom_pb2.RemindMessageTaskRequest(
                message_task_id=secrets.choice(waiting).message_task_id, request_id=request_id()
            )
            self.ask(self.me.username, remind, REMINDER_REFUSED)


class RobotUser(DeskUser):
    """The robot: leases tasks of its pool and dials."""

    me = ROBOT

    @task
    def work_a_lease(self) -> None:
        """Lease a few tasks and carry each through."""
        lease = action_pb2.LeaseTasksRequest(max_tasks=3, request_id=request_id())
        lease.lease_time.FromSeconds(30)
        for leased in self.ask(self.me.username, lease).tasks:
            self.work(leased.task_id, leased.customer_id, reach_pb2.ClickToDialRequest)


class BranchManagerUser(LoopUser):
    """Looks at his branch and moves its tasks; at each instant a task has one owner."""

    @task
    def look_at_the_branch(self) -> None:
        """See what the branch achieved."""
        inflow = performance_pb2.METRIC_NET_EXTERNAL_INFLOW
        self.ask("bm001", performance_pb2.GetTotalsRequest(metric=inflow))

    @task
    def give_to_another(self) -> None:
        """Give a task that was left to a colleague of its owner."""
        if not self.handed.tasks:
            return
        given = self.handed.tasks.popleft()
        colleagues = [
            manager
            for manager in MANAGERS
            if manager.branch_id == given.branch_id and manager.staff_id != given.owner_id
        ]
        if not colleagues:
            return  # head office's
        who, to = f"bm{given.branch_id:03}", colleagues[0]
        reassign = action_pb2.ReassignTaskRequest(
            task_id=given.task_id,
            owner_kind=to.kind,
            owner_id=to.staff_id,
            branch_id=to.branch_id,
            reason="LOAD_TEST",
            request_id=request_id(),
        )
        self.ask(who, reassign, TASK_GONE)
        owners = self.ask(who, action_pb2.ListTaskOwnersRequest(task_id=given.task_id)).owners
        ends = [owner.end_time for owner in owners[:-1]]
        assert ends == [owner.start_time for owner in owners[1:]], "A task without an owner"
