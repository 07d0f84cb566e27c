"""A task with what its owner needs: guidance, words, product, customer, what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from centers.action.chain import part_of
from centers.action.customer import Shown
from centers.action.domain import Task
from centers.action.opportunity_rows import OpportunityRows
from centers.action.strategies import Strategies
from centers.action.strategy import Strategy
from centers.action.task_rows import TaskRows
from engine.mesh.v1 import policy_pb2
from mesh import context
from mesh.audit import note
from mesh.ownership import OwnerSource


class Portraits(Protocol):
    """Where it is known how a customer is shown to the user of the call."""

    async def shown(self, customer_id: int) -> Shown:
        """What the user may see of the customer."""


class Amounts(Protocol):
    """Where amounts of events are found."""

    async def amount_fen(self, trigger_id: int) -> int:
        """The amount of the event behind a trigger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A task with what its owner needs. Not kept.

    `amount_fen` is 0 for everybody but the customer's owner, at work on his own desk.
    """

    task: Task
    strategy: Strategy
    shown: Shown
    amount_fen: int
    occurred_time: datetime


class Views:
    """Shows tasks. That the task is in the caller's scope was checked before."""

    def __init__(
        self,
        *,
        tasks: TaskRows,
        opportunities: OpportunityRows,
        strategies: Strategies,
        portraits: Portraits,
        amounts: Amounts,
        owners: OwnerSource,
    ) -> None:
        self._tasks = tasks
        self._opportunities = opportunities
        self._strategies = strategies
        self._portraits = portraits
        self._amounts = amounts
        self._owners = owners

    async def view(self, task_id: int) -> View:
        """The task: the customer as the user may see him, the amount for his owner alone.

        Raises:
            MeshError: OUT_OF_SCOPE, when there is no such task.
            grpc.aio.AioRpcError: another centre cannot be reached.
        """
        task = await self._tasks.known(task_id)
        note(customer_id=task.customer_id, chain=task.chain)
        with part_of(task):
            shown = await self._portraits.shown(task.customer_id)
            amount_fen = await self._amount_fen(task)
        opportunity = await self._opportunities.get(task.opportunity_id)
        assert opportunity is not None, "a task is made with its opportunity"
        return View(
            task=task,
            strategy=await self._strategies.behind(task),
            shown=shown,
            amount_fen=amount_fen,
            occurred_time=opportunity.occurred_time,
        )

    async def _amount_fen(self, task: Task) -> int:
        """Whoever got the task from another's desk, or from the pool, does not see it."""
        principal = context.current().principal
        if principal is None or principal.staff_id != task.owner.owner_id:
            return 0
        customer_id = task.customer_id
        owner = (await self._owners.owners((customer_id,))).get(customer_id)
        own_book = policy_pb2.SCOPE_OWN_BOOK
        if owner is None or not owner.is_within(
            own_book, staff_id=principal.staff_id, branch_id=principal.branch_id
        ):
            return 0
        return await self._amounts.amount_fen(task.trigger_id)
