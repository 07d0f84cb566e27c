"""Ends tasks with their outcome, proven, and goes on to the next node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from centers.action.chain import part_of
from centers.action.desk import Desk
from centers.action.domain import Task, Worker, after_outcome
from centers.action.errors import ActionReason
from centers.action.events import opportunity_changed
from centers.action.evidence import must_name_contact, must_prove
from centers.action.materialization import Ids
from centers.action.opportunity_rows import OpportunityRows
from centers.action.run_rows import RunRows
from centers.action.strategies import Strategies
from centers.action.strategy import Strategy
from engine.action.v1 import action_pb2
from engine.reach.v1 import reach_pb2
from mesh.audit import note
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)


class Evidence(Protocol):
    """Where contacts are found that prove something."""

    async def evidence(self, contact_id: int) -> reach_pb2.Contact | None:
        """The contact of this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """How a caller ends a task; `etag` is empty when the change depends on none."""

    outcome: action_pb2.Outcome.ValueType
    contact_id: int
    etag: str


class Completions:
    """Completes tasks. That the task is in the caller's scope was checked before."""

    def __init__(
        self,
        *,
        store: Store,
        desk: Desk,
        opportunities: OpportunityRows,
        runs: RunRows,
        strategies: Strategies,
        evidence: Evidence,
        task_ids: Ids,
        clock: Clock,
    ) -> None:
        self._store = store
        self._desk = desk
        self._opportunities = opportunities
        self._runs = runs
        self._strategies = strategies
        self._evidence = evidence
        self._task_ids = task_ids
        self._clock = clock

    async def complete(
        self,
        task_id: int,
        completion: Completion,
        worker: Worker,
        respond: Callable[[Task], Answer],
    ) -> Answer:
        """End a task with its outcome and what proves it.

        A customer who is interested gets the task of the next node, on the same
        desk; at the last node the opportunity is converted. `respond` makes the
        call's answer, kept in the same transaction.

        Raises:
            MeshError: EVIDENCE_REQUIRED, EVIDENCE_MISMATCH, EVIDENCE_INSUFFICIENT,
                OUT_OF_SCOPE, TASK_CLOSED, LEASE_HELD, TASK_ETAG_MISMATCH, or
                SCENE_NOT_RUNNING when the next task is one of a scene that does not run.
            grpc.aio.AioRpcError: the reach centre cannot be asked.
        """
        found = await self._desk.tasks.known(task_id)
        strategy = await self._strategies.behind(found)
        await self._prove(found, strategy, completion)
        next_id = await self._task_ids.next()
        async with self._store.transaction() as tx:
            task = await self._desk.tasks.get(tx, task_id)
            done = task.completed(
                completion.outcome,
                contact_id=completion.contact_id,
                worker=worker,
                etag=completion.etag,
                now=self._clock.now(),
            )
            note(customer_id=done.customer_id, chain=done.chain)
            await self._desk.change(tx, task, done)
            await self._follow(tx, done, strategy, next_id)
            answer = respond(done)
            tx.answer(answer)
        return answer

    async def _prove(self, task: Task, strategy: Strategy, completion: Completion) -> None:
        must_name_contact(strategy.scene.nodes[task.node], completion.contact_id)
        if completion.contact_id:
            with part_of(task):
                contact = await self._evidence.evidence(completion.contact_id)
            must_prove(contact, task, completion.outcome)

    async def _follow(self, tx: Transaction, done: Task, strategy: Strategy, next_id: int) -> None:
        """What the outcome of a task means for its opportunity and the next node."""
        after = after_outcome(done.outcome, is_last=strategy.is_last(done.node))
        if after is not None:
            moved = await self._opportunities.move(
                tx, done.opportunity_id, before=action_pb2.OPPORTUNITY_STATE_TASKED, after=after
            )
            if moved is not None:
                tx.publish(opportunity_changed(moved))
        elif done.outcome == action_pb2.OUTCOME_INTERESTED:
            await self._must_run(tx, done.scene_id)
            await self._desk.put(tx, following(done, strategy, next_id))

    async def _must_run(self, tx: Transaction, scene_id: int) -> None:
        run = await self._runs.present(tx, scene_id)
        if run is None or run.status != action_pb2.SCENE_STATUS_RUNNING:
            raise MeshError(ActionReason.SCENE_NOT_RUNNING)


def following(done: Task, strategy: Strategy, task_id: int) -> Task:
    """The task of the node after the one that is done, on the same desk if it may be there."""
    node, now = done.node + 1, done.update_time
    return replace(
        done,
        task_id=task_id,
        node=node,
        owner=strategy.owner_for(node, done.owner) or done.owner,
        state=action_pb2.TASK_STATE_ASSIGNED,
        due_time=strategy.due_time(node, now, done.expire_time),
        create_time=now,
        outcome=action_pb2.OUTCOME_UNSPECIFIED,
        contact_id=0,
        version=1,
    )
