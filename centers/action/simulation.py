"""Plays a draft on the customers of a backtest: how many tasks, for whom, how many a day."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.action.decision import BacktestPage
from centers.action.domain import TaskOwner
from centers.action.errors import ActionReason
from centers.action.holdout import WHOLE_BP
from centers.action.materialization import Owners
from centers.action.run import Run
from centers.action.scenes import SceneBook, SceneVersion
from centers.action.strategy import Facts, Strategy
from centers.action.task_rows import TaskRows
from engine.action.v1 import action_pb2
from engine.mesh.v1 import ownership_pb2
from mesh.clock import Clock
from mesh.definitions import DefinitionReason, Version
from mesh.errors import MeshError
from mesh.storage import Store

BASE_RATE: Final = 0.03
"""Share of customers who do what is wanted by themselves: what a holdout shows of such scenes."""

Z_CONFIDENCE: Final = 1.959964
"""Two-sided 95 % of the normal distribution."""

Z_POWER: Final = 0.841621
"""80 % of the normal distribution."""

_DRAFTS: Final = frozenset({action_pb2.SCENE_STATUS_DRAFT, action_pb2.SCENE_STATUS_SIMULATED})

MAX_PAGES: Final = 2_400
"""Pages of a backtest that are read: twelve million customers."""

Answer = TypeVar("Answer", bound=Message)


class Backtests(Protocol):
    """Where the customers of backtests are found."""

    async def backtest_page(self, backtest_id: int, token: str) -> BacktestPage:
        """A page of them, the first one with an empty token."""


class Refusals(Protocol):
    """Where it is known who refuses to be contacted."""

    async def opted_out(self, customer_ids: Collection[int]) -> AbstractSet[int]:
        """Those of the customers who refuse every channel of marketing."""


def detectable_lift_bp(customers: int, held_out: int) -> int:
    """The least difference of two rates that is shown with 80 % power, in basis points.

    The normal approximation for two proportions around a base rate of 3 %, 95 %
    two-sided: (z₁ + z₂) √(p (1 - p) (1/n₁ + 1/n₂)), rounded up. 10,000 when one
    side is empty: then no difference can be shown.
    """
    treated = customers - held_out
    if not treated or not held_out:
        return WHOLE_BP
    spread = math.sqrt(BASE_RATE * (1 - BASE_RATE) * (1 / treated + 1 / held_out))
    return min(WHOLE_BP, math.ceil((Z_CONFIDENCE + Z_POWER) * spread * WHOLE_BP))


@dataclass(slots=True)
class Load:
    """What a draft would have done, counted customer by customer."""

    customers: int = 0
    held_out: int = 0
    suppressed: Counter[int] = field(default_factory=Counter)
    desks: Counter[TaskOwner] = field(default_factory=Counter)

    def add(self, strategy: Strategy, customer_id: int, facts: Facts) -> None:
        """Count one customer."""
        verdict = strategy.judge(customer_id, facts)
        self.customers += 1
        if verdict.arm == action_pb2.ARM_HOLDOUT:
            self.held_out += 1
        elif verdict.owner is None:
            self.suppressed[verdict.reason] += 1
        else:
            self.desks[verdict.owner] += 1

    def message(self, backtest_id: int, days: int) -> action_pb2.Simulation:
        """The counts as the contract shows them; averages over all days of the backtest."""
        tasks = self.desks.total()
        kinds: Counter[str] = Counter()
        for owner, count in self.desks.items():
            kinds[ownership_pb2.OwnerKind.Name(owner.kind)] += count
        return action_pb2.Simulation(
            backtest_id=backtest_id,
            customers=self.customers,
            held_out=self.held_out,
            opted_out=self.suppressed[action_pb2.SUPPRESS_REASON_OPTED_OUT],
            overlap=self.suppressed[action_pb2.SUPPRESS_REASON_SAME_OBJECTIVE],
            tasks=tasks,
            tasks_by_kind=kinds,
            busiest_per_day_hundredths=_hundredths(max(self.desks.values(), default=0), days),
            mean_per_day_hundredths=_hundredths(tasks, days * len(self.desks)),
            detectable_lift_bp=detectable_lift_bp(self.customers, self.held_out),
        )


class Simulations:
    """Simulates drafts."""

    def __init__(
        self,
        *,
        store: Store,
        book: SceneBook,
        tasks: TaskRows,
        backtests: Backtests,
        refusals: Refusals,
        owners: Owners,
        clock: Clock,
    ) -> None:
        self._store = store
        self._book = book
        self._tasks = tasks
        self._backtests = backtests
        self._refusals = refusals
        self._owners = owners
        self._clock = clock

    async def simulate(
        self, scene_id: int, backtest_id: int, respond: Callable[[SceneVersion], Answer]
    ) -> Answer:
        """Play the newest version on the backtest's customers, as if each fired once today.

        `respond` makes the call's answer, kept in the transaction that keeps what
        the simulation said.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_A_DRAFT, BACKTEST_OF_OTHER_SCENE,
                SCENE_ENDED, or DEFINITION_ETAG_MISMATCH when the draft was changed meanwhile.
            grpc.aio.AioRpcError: another centre cannot be asked.
        """
        said = await self._book.scenes.get(scene_id)
        before = await self._book.runs.get(said.version_id)
        simulation = await self._played(said, backtest_id)
        async with self._store.transaction() as tx:
            *_, newest = await self._book.versions(tx, scene_id)
            _must_be_same_draft(before, newest)
            run = replace(newest, status=action_pb2.SCENE_STATUS_SIMULATED, simulation=simulation)
            await self._book.move(tx, run, said.body)
            answer = respond(SceneVersion(said, run))
            tx.answer(answer)
        return answer

    async def _played(
        self, said: Version[action_pb2.Scene], backtest_id: int
    ) -> action_pb2.Simulation:
        strategy = Strategy(
            scene_id=said.definition_id, scene_version=said.version_id, scene=said.body
        )
        load, days = Load(), 0
        async for page in self._pages(backtest_id, said.definition_id):
            days = page.days
            await self._count(load, strategy, page.customer_ids)
        simulation = load.message(backtest_id, days)
        simulation.create_time.FromDatetime(self._clock.now())
        return simulation

    async def _pages(self, backtest_id: int, scene_id: int) -> AsyncIterator[BacktestPage]:
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._backtests.backtest_page(backtest_id, token)
            if page.scene_id != scene_id:
                raise MeshError(ActionReason.BACKTEST_OF_OTHER_SCENE)
            yield page
            token = page.next_token
            if not token:
                return

    async def _count(self, load: Load, strategy: Strategy, customer_ids: Collection[int]) -> None:
        refusing = await self._refusals.opted_out(customer_ids)
        owners = await self._owners.owners(customer_ids)
        busy = await self._tasks.with_open(customer_ids, strategy.scene.objective)
        for customer_id in customer_ids:
            facts = Facts(
                opted_out=customer_id in refusing,
                same_objective=customer_id in busy,
                runs=True,
                owner=owners.get(customer_id),
            )
            load.add(strategy, customer_id, facts)


def _must_be_same_draft(before: Run | None, newest: Run) -> None:
    if newest.status not in _DRAFTS:
        raise MeshError(DefinitionReason.NOT_A_DRAFT)
    if before is None or (before.version, before.edits) != (newest.version, newest.edits):
        raise MeshError(DefinitionReason.DEFINITION_ETAG_MISMATCH)


def _hundredths(count: int, of: int) -> int:
    return count * 100 // of if of else 0
