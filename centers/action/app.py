"""The action centre as a service: what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from centers.action.completion import Completions
from centers.action.customer import CustomerClient
from centers.action.decision import DecisionClient
from centers.action.desk import Desk
from centers.action.expiry import Expiry
from centers.action.leases import Leases
from centers.action.listing import OpportunityLists
from centers.action.materialization import Materializer
from centers.action.opportunity_rows import OpportunityRows
from centers.action.owner_rows import OwnerRows
from centers.action.reach import ReachClient
from centers.action.run_rows import RunRows
from centers.action.running import RunningScenes
from centers.action.scene_rpc import SceneRpc
from centers.action.scenes import SceneBook, Scenes
from centers.action.scope import TaskScope
from centers.action.simulation import Simulations
from centers.action.strategies import Strategies
from centers.action.task_rows import TaskRows
from centers.action.task_rpc import TaskRpc
from centers.action.tasks import Tasks
from centers.action.views import Views
from engine.action.v1 import action_pb2
from mesh.contract import Method
from mesh.definitions import Definitions
from mesh.events import Subscription
from mesh.ownership import Ownerships
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

AT_ONCE: Final = 500
"""Triggers that are looked at together: what they ask of others goes out as one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the two contracts and the events share."""

    parts: Parts
    ids: ServiceIds
    book: SceneBook
    strategies: Strategies
    opportunities: OpportunityRows
    desk: Desk
    reach: ReachClient
    decision: DecisionClient
    owners: Ownerships


def build(parts: Parts) -> Service:
    """The action centre from its parts."""
    made = _made(parts)
    expiry = Expiry(parts.store, made.desk, made.opportunities, parts.clock)
    return Service(
        servicers=[
            Servicer(descriptor=_contract("SceneService"), implementation=_scene_rpc(made)),
            Servicer(descriptor=_contract("TaskService"), implementation=_task_rpc(made)),
        ],
        resources=[made.ids, expiry],
        scope_resolver={"task_id": TaskScope(made.desk.tasks)},
        author_resolver=_Authors(made.book),
        subscriptions=[
            Subscription(
                group="opportunities",
                topic="decision",
                react=_materializer(made).react,
                concurrency=AT_ONCE,
            )
        ],
    )


class _Authors:
    """Names the author of the newest version of a scene."""

    def __init__(self, book: SceneBook) -> None:
        self._book = book

    async def __call__(self, method: Method, row: Any) -> str | None:  # noqa: ARG002 - protocol
        return await self._book.scenes.author(row)


def _made(parts: Parts) -> Made:
    store = parts.store
    scenes = Definitions(
        store, "scene", action_pb2.Scene, parts.clock, name_of=lambda scene: scene.name
    )
    return Made(
        parts=parts,
        ids=ServiceIds(parts),
        book=SceneBook(scenes, RunRows(store)),
        strategies=Strategies(scenes),
        opportunities=OpportunityRows(store),
        desk=Desk(TaskRows(store), OwnerRows(store), parts.clock),
        reach=ReachClient(parts.channel("reach")),
        decision=DecisionClient(parts.channel("decision")),
        owners=Ownerships(parts.channel("customer"), parts.clock),
    )


def _scene_rpc(made: Made) -> SceneRpc:
    store = made.parts.store
    scenes = Scenes(
        store,
        made.book,
        scene_ids=made.ids.of("action.scene"),
        version_ids=made.ids.of("action.scene_version"),
    )
    simulations = Simulations(
        store=store,
        book=made.book,
        tasks=made.desk.tasks,
        backtests=made.decision,
        refusals=made.reach,
        owners=made.owners,
        clock=made.parts.clock,
    )
    running = RunningScenes(store, made.book, made.desk, made.reach, made.parts.clock)
    lists = OpportunityLists(scenes, made.book.runs, made.opportunities)
    return SceneRpc(scenes, running, simulations, lists)


def _task_rpc(made: Made) -> TaskRpc:
    store, clock = made.parts.store, made.parts.clock
    completions = Completions(
        store=store,
        desk=made.desk,
        opportunities=made.opportunities,
        runs=made.book.runs,
        strategies=made.strategies,
        evidence=made.reach,
        task_ids=made.ids.of("action.task"),
        clock=clock,
    )
    views = Views(
        tasks=made.desk.tasks,
        opportunities=made.opportunities,
        strategies=made.strategies,
        portraits=CustomerClient(made.parts.channel("customer")),
        amounts=made.decision,
        owners=made.owners,
    )
    tasks = Tasks(store, made.desk, made.strategies, clock)
    return TaskRpc(tasks, completions, views, Leases(store, made.desk, clock))


def _materializer(made: Made) -> Materializer:
    return Materializer(
        strategies=made.strategies,
        runs=made.book.runs,
        opportunities=made.opportunities,
        desk=made.desk,
        refusals=made.reach,
        owners=made.owners,
        opportunity_ids=made.ids.of("action.opportunity"),
        task_ids=made.ids.of("action.task"),
        clock=made.parts.clock,
    )


def _contract(name: str) -> Any:
    return action_pb2.DESCRIPTOR.services_by_name[name]


BLUEPRINT: Final = Blueprint(
    name="action",
    build=build,
    after=("identity", "sequencer", "customer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",  # a task that was shown to its owner must not be forgotten
    rights=RIGHTS
    | {
        "customer.read",
        "decision.evidence",
        "ownership.read",
        "reach.evidence",
        "reach.hold",
        "reach.screen",
    },
)
"""Not after decision and reach, which are asked as well: what needs them waits or says so."""
