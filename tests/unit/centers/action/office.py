"""The action centre's use cases on a real store, with the other centres played by a world."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message

from centers.action import wire
from centers.action.completion import Completion, Completions
from centers.action.decision import BacktestPage
from centers.action.desk import Desk
from centers.action.domain import Task, TaskOwner, Worker
from centers.action.expiry import Expiry
from centers.action.leases import Leases
from centers.action.materialization import Materializer
from centers.action.opportunity_rows import OpportunityRows
from centers.action.owner_rows import OwnerRows
from centers.action.run_rows import RunRows
from centers.action.running import RunningScenes
from centers.action.scenes import SceneBook, Scenes
from centers.action.simulation import Simulations
from centers.action.strategies import Strategies
from centers.action.tables import task
from centers.action.task_rows import TaskRows
from centers.action.tasks import Tasks
from centers.action.turn import Turn
from engine.action.v1 import action_pb2
from engine.decision.v1 import decision_pb2
from engine.mesh.v1 import ownership_pb2
from engine.mesh.v1.event_pb2 import Event
from engine.reach.v1 import reach_pb2
from mesh import context
from mesh.clock import ManualClock
from mesh.context import Principal, RequestContext
from mesh.definitions import Definitions
from mesh.events import event
from mesh.ownership import Owner
from mesh.paging import PageRequest
from mesh.storage import Store

RM, OTHER_RM, AGENT, ROBOT = 7, 8, 900, 980
BRANCH, OTHER_BRANCH = 3, 4
MANAGER_KIND = ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
AGENT_KIND = ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS
ROBOT_KIND = ownership_pb2.OWNER_KIND_ROBOT

MAKER, CHECKER = "hq001", "co001"

EVERYTHING = 1_000_000

M = TypeVar("M", bound=Message)


def owner(
    customer_id: int,
    owner_id: int = RM,
    *,
    kind: ownership_pb2.OwnerKind.ValueType = MANAGER_KIND,
    branch_id: int = BRANCH,
) -> Owner:
    """Who looks after a customer."""
    return Owner(
        customer_id=customer_id, kind=kind, owner_id=owner_id, branch_id=branch_id, shares=()
    )


def scene(nodes: Any = 1, **fields: Any) -> action_pb2.Scene:
    """What a scene may say; its nodes, or how many it has."""
    if isinstance(nodes, int):
        nodes = [action_pb2.Node(name=f"step {number}") for number in range(nodes)]
    given: dict[str, Any] = {
        "name": "Large inflow",
        "objective": "inflow.retain",
        "success_metric": "net_external_inflow",
        "nodes": nodes,
    }
    return action_pb2.Scene(**(given | fields))


@dataclass
class World:
    """The other centres: who refuses, who owns, what was contacted, what is held."""

    opted_out_ids: set[int] = field(default_factory=set)
    owned: dict[int, Owner] = field(default_factory=dict)
    unowned: set[int] = field(default_factory=set)
    contacts: dict[int, reach_pb2.Contact] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)
    backtests: dict[int, Sequence[BacktestPage]] = field(default_factory=dict)

    async def refuses(self, customer_id: int) -> bool:
        return customer_id in self.opted_out_ids

    async def opted_out(self, customer_ids: Collection[int]) -> AbstractSet[int]:
        return self.opted_out_ids & set(customer_ids)

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        return {
            one: self.owned.get(one) or owner(one)
            for one in customer_ids
            if one not in self.unowned
        }

    async def evidence(self, contact_id: int) -> reach_pb2.Contact | None:
        return self.contacts.get(contact_id)

    async def hold(self, turn: Turn) -> None:
        self.turns.append(turn)

    async def backtest_page(self, backtest_id: int, token: str) -> BacktestPage:
        return self.backtests[backtest_id][int(token or 0)]


class Ids:
    """Ids from 1."""

    def __init__(self) -> None:
        self._numbers = count(1)

    async def next(self) -> int:
        return next(self._numbers)


class Office:
    """The use cases, and short ways to bring them where a test begins."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.world = World()
        self.triggers = count(1)
        self.backtest_ids = count(1)
        self.fired = 0
        definitions = Definitions(
            store, "scene", action_pb2.Scene, self.clock, name_of=lambda said: said.name
        )
        self.runs = RunRows(store)
        self.book = SceneBook(definitions, self.runs)
        self.strategies = Strategies(definitions)
        self.opportunities = OpportunityRows(store)
        self.desk = Desk(TaskRows(store), OwnerRows(store), self.clock)
        self.scenes = Scenes(store, self.book, scene_ids=Ids(), version_ids=Ids())
        self.running = RunningScenes(store, self.book, self.desk, self.world, self.clock)
        self.tasks = Tasks(store, self.desk, self.strategies, self.clock)
        self.leases = Leases(store, self.desk, self.clock)
        self.expiry = Expiry(store, self.desk, self.opportunities, self.clock)
        task_ids = Ids()
        self.completions = Completions(
            store=store,
            desk=self.desk,
            opportunities=self.opportunities,
            runs=self.runs,
            strategies=self.strategies,
            evidence=self.world,
            task_ids=task_ids,
            clock=self.clock,
        )
        self.simulations = Simulations(
            store=store,
            book=self.book,
            tasks=self.desk.tasks,
            backtests=self.world,
            refusals=self.world,
            owners=self.world,
            clock=self.clock,
        )
        self.materializer = Materializer(
            strategies=self.strategies,
            runs=self.runs,
            opportunities=self.opportunities,
            desk=self.desk,
            refusals=self.world,
            owners=self.world,
            opportunity_ids=Ids(),
            task_ids=task_ids,
            clock=self.clock,
        )

    async def drafted(self, said: action_pb2.Scene, scene_id: int = 0) -> action_pb2.Scene:
        """A draft of a new scene, or of the next version of one."""
        return await self.scenes.draft(scene_id, said, MAKER, _scene)

    async def simulated(
        self, scene_id: int, customers: Sequence[int] = (), days: int = 90
    ) -> action_pb2.Simulation:
        """What a simulation of the newest version on these customers says."""
        backtest_id = next(self.backtest_ids)
        page = BacktestPage(customer_ids=customers, scene_id=scene_id, days=days, next_token="")
        self.world.backtests[backtest_id] = [page]
        made = await self.simulations.simulate(scene_id, backtest_id, _scene)
        return made.simulation

    async def approved(self, said: action_pb2.Scene, scene_id: int = 0) -> action_pb2.Scene:
        """A version that may be launched."""
        drafted = await self.drafted(said, scene_id)
        scene_id = drafted.definition.definition_id
        await self.simulated(scene_id)
        await self.scenes.submit(scene_id, MAKER, _scene)
        return await self.scenes.approve(scene_id, CHECKER, _scene)

    async def launched(
        self, said: action_pb2.Scene | None = None, scene_id: int = 0
    ) -> action_pb2.Scene:
        """A version that runs."""
        approved = await self.approved(said or scene(), scene_id)
        return await self.launch(approved.definition.definition_id)

    async def launch(self, scene_id: int) -> action_pb2.Scene:
        return await self.running.launch(scene_id, _scene)

    async def pause(self, scene_id: int) -> action_pb2.Scene:
        return await self.running.pause(scene_id, _scene)

    async def resume(self, scene_id: int) -> action_pb2.Scene:
        return await self.running.resume(scene_id, _scene)

    async def end(self, scene_id: int) -> action_pb2.Scene:
        return await self.running.end(scene_id, _scene)

    async def roll_back(self, scene_id: int, version: int = 0) -> action_pb2.RollBackSceneResponse:
        return await self.running.roll_back(
            scene_id,
            version,
            lambda made, recalled: action_pb2.RollBackSceneResponse(
                scene=_scene(made), recalled=recalled
            ),
        )

    def trigger(
        self, scene_id: int, customer_id: int, occurred: datetime | None = None
    ) -> decision_pb2.Trigger:
        """A hit of a model that feeds the scene."""
        made = decision_pb2.Trigger(
            trigger_id=next(self.triggers), scene_id=scene_id, customer_id=customer_id
        )
        made.occurred_time.FromDatetime(occurred or self.clock.now())
        return made

    async def hear(self, told: Event) -> None:
        """Consume an event, in a transaction of its own."""
        effect = await self.materializer.react(told)
        if effect is not None:
            async with self.store.transaction() as tx:
                await effect(tx)

    async def fire(self, trigger: decision_pb2.Trigger) -> None:
        """Tell that a model fired."""
        told = decision_pb2.TriggerFired(trigger=trigger)
        await self.hear(event(told, key=trigger.customer_id))

    async def fire_on(self, scene_id: int, customer_ids: Iterable[int]) -> None:
        """Tell that a model fired on each of these customers; all in one transaction."""
        effects = []
        for customer_id in customer_ids:
            told = decision_pb2.TriggerFired(trigger=self.trigger(scene_id, customer_id))
            effects.append(await self.materializer.react(event(told, key=customer_id)))
        async with self.store.transaction() as tx:
            for effect in filter(None, effects):
                await effect(tx)

    async def reverse(self, trigger: decision_pb2.Trigger) -> None:
        """Tell that the trigger's event was taken back."""
        told = decision_pb2.TriggerReversed(trigger=trigger, reason="WRONG_ACCOUNT")
        await self.hear(event(told, key=trigger.customer_id))

    async def task_for(self, scene_id: int, customer_id: int) -> Task:
        """The task that a trigger of the customer makes."""
        await self.fire(self.trigger(scene_id, customer_id))
        return (await self.open_tasks(customer_id))[-1]

    async def complete(
        self,
        done: Task,
        outcome: action_pb2.Outcome.ValueType = action_pb2.OUTCOME_INTERESTED,
        **proof: Any,
    ) -> action_pb2.Task:
        """Complete a task as its owner; `contact_id` is made up when none is given."""
        contact_id = proof.get("contact_id", -1)
        if contact_id == -1:
            contact_id = self.contact(done)
        return await self.completions.complete(
            done.task_id,
            Completion(outcome=outcome, contact_id=contact_id, etag=proof.get("etag", "")),
            proof.get("worker") or Worker(actor="rm007", staff_id=done.owner.owner_id),
            wire.task,
        )

    async def start(self, begun: Task, actor: str = "rm007") -> action_pb2.Task:
        """Start a task as its owner."""
        worker = Worker(actor=actor, staff_id=begun.owner.owner_id)
        return await self.tasks.start(begun.task_id, worker, wire.task)

    def contact(self, of: Task, **fields: Any) -> int:
        """A contact of the task that reached the customer, unless the fields say otherwise."""
        contact_id = len(self.world.contacts) + 1
        given: dict[str, Any] = {
            "contact_id": contact_id,
            "customer_id": of.customer_id,
            "state": reach_pb2.CONTACT_STATE_DELIVERED,
            "reached": True,
            "chain": of.chain,
        }
        self.world.contacts[contact_id] = reach_pb2.Contact(**(given | fields))
        return contact_id

    async def give(
        self, task_id: int, to: TaskOwner, reason: str = "LEAVE", branch_id: int = BRANCH
    ) -> action_pb2.Task:
        """Reassign a task as the manager of a branch."""
        with as_manager(branch_id):
            return await self.tasks.reassign(task_id, to, reason, wire.task)

    async def open_tasks(self, customer_id: int = 0) -> list[Task]:
        """All open tasks, or those of a customer, by id."""
        return [one for one in await self.all_tasks(customer_id) if one.is_open]

    async def all_tasks(self, customer_id: int = 0) -> list[Task]:
        """All tasks, or those of a customer, by id."""
        rows = await self.store.fetch_all(sa.select(task.c.task_id).order_by(task.c.task_id))
        found = [await self.desk.tasks.known(row.task_id) for row in rows]
        return [one for one in found if customer_id in (0, one.customer_id)]

    async def made(self, scene_version: int) -> list[Any]:
        """All opportunities of a version, oldest first."""
        request = PageRequest(listing="all", size=EVERYTHING, token="")
        page = await self.opportunities.page(request, scene_version, 0)  # type: ignore[arg-type]
        return list(reversed(page.entries))

    async def told(self, kind: type[M]) -> list[M]:
        """What was told of one kind, in its order."""
        return [kind.FromString(one.payload) for one in await self.events(kind)]

    async def events(self, kind: type[Message]) -> list[Event]:
        """The events of one kind, in their order."""
        events = [Event.FromString(raw) for _, raw in await self.store.outbox.read(EVERYTHING)]
        return [one for one in events if one.type == kind.DESCRIPTOR.full_name]

    async def turn(self) -> None:
        """Let others have a turn of the loop."""
        await asyncio.sleep(0)

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(**time).total_seconds())


def as_manager(branch_id: int = BRANCH) -> AbstractContextManager[Any]:
    """A block as the manager of a branch."""
    principal = Principal(
        subject="bm003", permissions=frozenset(), staff_id=30, branch_id=branch_id
    )
    return context.using(RequestContext(principal=principal))


def _scene(made: Any) -> action_pb2.Scene:
    return wire.scene(made.said, made.run)
