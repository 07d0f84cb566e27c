"""Makes opportunities and tasks of the triggers of the decision centre, and takes them back.

What must be asked of others (who refuses, who owns) and ids come before the
transaction; whether the scene runs and whether the customer has an open task of
the objective is read inside it: a pause or another scene cannot slip in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Final, Protocol

from centers.action.desk import Desk
from centers.action.domain import Opportunity, Task
from centers.action.events import opportunity_changed
from centers.action.opportunity_rows import OpportunityRows
from centers.action.run_rows import RunRows
from centers.action.strategies import Strategies
from centers.action.strategy import Facts, Strategy, Verdict
from engine.action.v1 import action_pb2
from engine.decision.v1 import decision_pb2
from engine.mesh.v1.event_pb2 import Event
from mesh.clock import Clock
from mesh.events import Effect
from mesh.ownership import Owner
from mesh.storage import Transaction

FIRED: Final = decision_pb2.TriggerFired.DESCRIPTOR.full_name
REVERSED: Final = decision_pb2.TriggerReversed.DESCRIPTOR.full_name


class Refusals(Protocol):
    """Where it is known who refuses to be contacted."""

    async def refuses(self, customer_id: int) -> bool:
        """Whether the customer refuses every channel of marketing."""


class Owners(Protocol):
    """Where owners are found."""

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        """Owners by customer; customers that are unknown are left out."""


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Materializer:
    """Reacts to the topic "decision" (`mesh.events.Reaction`).

    One trigger makes one opportunity at most, and so does one window of a customer
    in a version of a scene: delivered again or fired again it makes nothing new. One
    that was taken back first, as by a dead letter that is replayed, makes no task.
    """

    def __init__(
        self,
        *,
        strategies: Strategies,
        runs: RunRows,
        opportunities: OpportunityRows,
        desk: Desk,
        refusals: Refusals,
        owners: Owners,
        opportunity_ids: Ids,
        task_ids: Ids,
        clock: Clock,
    ) -> None:
        self._strategies = strategies
        self._runs = runs
        self._opportunities = opportunities
        self._desk = desk
        self._refusals = refusals
        self._owners = owners
        self._opportunity_ids = opportunity_ids
        self._task_ids = task_ids
        self._clock = clock

    async def react(self, event: Event) -> Effect | None:
        """What an event of the decision centre changes here.

        Raises:
            grpc.aio.AioRpcError: refusals or owners cannot be had.
            MeshError: ids cannot be had.
        """
        if event.type == FIRED:
            return await self._fired(decision_pb2.TriggerFired.FromString(event.payload).trigger)
        if event.type == REVERSED:
            return self._reversed(decision_pb2.TriggerReversed.FromString(event.payload).trigger)
        return None

    async def _fired(self, trigger: decision_pb2.Trigger) -> Effect | None:
        if not trigger.scene_id or await self._runs.launched(trigger.scene_id) is None:
            return None
        customer_id = trigger.customer_id
        opted_out = await self._refusals.refuses(customer_id)
        owner = (await self._owners.owners((customer_id,))).get(customer_id)
        opportunity_id = await self._opportunity_ids.next()
        task_id = await self._task_ids.next()

        async def effect(tx: Transaction) -> None:
            run = await self._runs.present(tx, trigger.scene_id)
            assert run is not None, "what was launched once has a present version"
            strategy = await self._strategies.of(run.scene_version)
            objective = strategy.scene.objective
            facts = Facts(
                opted_out=opted_out,
                same_objective=await self._desk.tasks.has_open(tx, customer_id, objective),
                runs=run.status == action_pb2.SCENE_STATUS_RUNNING,
                owner=owner,
            )
            verdict = strategy.judge(customer_id, facts)
            if await self._opportunities.was_taken_back(tx, trigger.trigger_id):
                verdict = verdict.taken_back()
            made = self._opportunity(opportunity_id, trigger, strategy, verdict)
            if not await self._opportunities.add(tx, made):
                return
            tx.publish(opportunity_changed(made))
            if verdict.owner is not None:
                await self._desk.put(tx, first_task(task_id, made, strategy, verdict))

        return effect

    def _reversed(self, trigger: decision_pb2.Trigger) -> Effect:
        async def effect(tx: Transaction) -> None:
            made = await self._opportunities.of_trigger(tx, trigger.trigger_id)
            if made is None:
                await self._opportunities.take_back(tx, trigger.trigger_id)
                return
            reversed_ = await self._opportunities.move(
                tx,
                made.opportunity_id,
                before=made.state,
                after=action_pb2.OPPORTUNITY_STATE_REVERSED,
            )
            if reversed_ is not None and reversed_.state != made.state:
                tx.publish(opportunity_changed(reversed_))
            open_task = await self._desk.tasks.open_of_opportunity(tx, made.opportunity_id)
            if open_task is not None:
                await self._desk.close(tx, [open_task], action_pb2.TASK_STATE_CANCELLED)

        return effect

    def _opportunity(
        self,
        opportunity_id: int,
        trigger: decision_pb2.Trigger,
        strategy: Strategy,
        verdict: Verdict,
    ) -> Opportunity:
        occurred = trigger.occurred_time.ToDatetime(tzinfo=UTC)
        now = self._clock.now()
        return Opportunity(
            opportunity_id=opportunity_id,
            trigger_id=trigger.trigger_id,
            scene_id=strategy.scene_id,
            scene_version=strategy.scene_version,
            customer_id=trigger.customer_id,
            window_key=strategy.window_key(occurred),
            arm=verdict.arm,
            state=verdict.state,
            suppress_reason=verdict.reason,
            occurred_time=occurred,
            create_time=now,
            expire_time=strategy.expire_time(now),
        )


def first_task(
    task_id: int, opportunity: Opportunity, strategy: Strategy, verdict: Verdict
) -> Task:
    """The task of the scene's first node."""
    assert verdict.owner is not None, "only who has an owner gets a task"
    created, expire = opportunity.create_time, opportunity.expire_time
    return Task(
        task_id=task_id,
        opportunity_id=opportunity.opportunity_id,
        trigger_id=opportunity.trigger_id,
        scene_id=opportunity.scene_id,
        scene_version=opportunity.scene_version,
        node=0,
        customer_id=opportunity.customer_id,
        owner=verdict.owner,
        state=action_pb2.TASK_STATE_ASSIGNED,
        objective=strategy.scene.objective,
        due_time=strategy.due_time(0, created, expire),
        expire_time=expire,
        create_time=created,
        update_time=created,
    )
