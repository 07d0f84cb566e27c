"""A performance centre without its service: use cases over a real store of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from centers.performance.app import BLUEPRINT
from centers.performance.credit_rows import Credits
from centers.performance.domain import Credit, Fact, Metric, Reversal
from centers.performance.events import Reactions
from centers.performance.late import LateCauses
from centers.performance.ledger_rows import to_credit
from centers.performance.reading import Span, Totals
from centers.performance.recording import Handed, Outcome, Recording
from centers.performance.scope import Reach
from centers.performance.tables import credit
from centers.performance.total_rows import Sums
from engine.action.v1 import action_pb2
from engine.mesh.v1 import ownership_pb2, policy_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import Event
from engine.performance.v1 import performance_pb2
from engine.reach.v1 import reach_pb2
from mesh.clock import ManualClock
from mesh.events import event
from mesh.ownership import Owner, Share
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer

INFLOW, LOAN = Metric.NET_EXTERNAL_INFLOW, Metric.LOAN_DRAWDOWN
DAY = "2026-01-01"
BANK = Reach(scope=policy_pb2.SCOPE_ALL)
CHAIN = ChainIds(scene_version=5, trigger_id=6, opportunity_id=7, task_id=8, contact_id=9)


@dataclass(slots=True)
class Book:
    """Who looks after whom: shares by customer, of staff number, basis points and branch."""

    shares: dict[int, Sequence[tuple[int, int, int]]] = field(default_factory=dict)

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        return {one: self._owner(one) for one in customer_ids if one in self.shares}

    def _owner(self, customer_id: int) -> Owner:
        shares = [
            Share(staff_id=s, share_bp=b, branch_id=r) for s, b, r in self.shares[customer_id]
        ]
        first = shares[0] if shares else Share(staff_id=0, share_bp=0, branch_id=0)
        return Owner(
            customer_id=customer_id,
            kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
            owner_id=first.staff_id,
            branch_id=first.branch_id,
            shares=tuple(shares),
        )


class CountedIds:
    """Ids of a test, rising."""

    def __init__(self) -> None:
        self._ids = count(1)

    async def take(self, wanted: int) -> Sequence[int]:
        return list(islice(self._ids, wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The use cases, with what they work on."""

    store: SQLiteStore
    recording: Recording
    reactions: Reactions
    sums: Sums
    ledger: Credits
    book: Book
    clock: ManualClock

    async def record(
        self, facts: Sequence[Fact] = (), reversals: Sequence[Reversal] = ()
    ) -> Outcome:
        """Hand in a batch; what became of it."""
        kept: list[Outcome] = []

        def respond(outcome: Outcome) -> performance_pb2.RecordResultsResponse:
            kept.append(outcome)
            return performance_pb2.RecordResultsResponse()

        await self.recording.record(Handed(facts=facts, reversals=reversals), respond)
        return kept[-1]

    async def tell(self, *payloads: Any) -> None:
        """Let events come in, one after another, as the consumers apply them."""
        for payload in payloads:
            react = self.reactions.on_action
            if isinstance(payload, reach_pb2.ContactChanged):
                react = self.reactions.on_reach
            effect = await react(event(payload))
            if effect is not None:
                async with self.store.transaction() as tx:
                    await effect(tx)

    async def entries(self) -> list[Credit]:
        """The ledger, in the order in which it was written."""
        rows = await self.store.fetch_all(credit.select().order_by(credit.c.credit_id))
        return [to_credit(row) for row in rows]

    async def totals(self, reach: Reach = BANK, **fields: Any) -> Totals:
        """The sums of inflow, of all days unless stated."""
        span: dict[str, Any] = {"metric": INFLOW, "start": "", "end": ""} | fields
        return await self.sums.totals(Span(**span), reach)

    async def events(self) -> list[tuple[Event, performance_pb2.ResultRecorded]]:
        """What the outbox tells, in its order."""
        found = [Event.FromString(body) for _, body in await self.store.outbox.read(10_000)]
        return [(one, performance_pb2.ResultRecorded.FromString(one.payload)) for one in found]

    def fact(self, key: str = "R-1", amount_fen: int = 100_000, **fields: Any) -> Fact:
        """Money of customer 1 that comes in now."""
        known: dict[str, Any] = {
            "metric": INFLOW,
            "business_key": key,
            "customer_id": 1,
            "amount_fen": amount_fen,
            "money_class": "OWN_OTHER_BANK",
            "occurred_time": self.clock.now(),
            "business_date": DAY,
        }
        return Fact(**(known | fields))

    def opportunity(
        self,
        opportunity_id: int = 7,
        *,
        age: timedelta = timedelta(hours=1),
        arm: int = action_pb2.ARM_TREATED,
        **fields: Any,
    ) -> action_pb2.OpportunityChanged:
        """An opportunity of customer 1 whose event is that old."""
        known = {"customer_id": 1, "scene_version": 5, "trigger_id": 6}
        told = action_pb2.Opportunity(opportunity_id=opportunity_id, **(known | fields))
        told.arm = action_pb2.Arm.ValueType(arm)
        told.occurred_time.FromDatetime(self.clock.now() - age)
        return action_pb2.OpportunityChanged(opportunity=told)

    def contact(
        self,
        contact_id: int = 9,
        *,
        opportunity_id: int = 7,
        age: timedelta = timedelta(minutes=1),
        reached: bool = True,
        customer_id: int = 1,
    ) -> reach_pb2.ContactChanged:
        """A contact with customer 1 that reached him that long ago."""
        chain = ChainIds(scene_version=5, trigger_id=6, opportunity_id=opportunity_id, task_id=8)
        told = reach_pb2.Contact(
            contact_id=contact_id, customer_id=customer_id, chain=chain, reached=reached
        )
        told.update_time.FromDatetime(self.clock.now() - age)
        return reach_pb2.ContactChanged(contact=told)


def reversal(key: str = "R-1", day: str = DAY, **fields: Any) -> Reversal:
    known: dict[str, Any] = {"metric": INFLOW, "business_key": key, "business_date": day}
    known["reason"] = "CORRECTED"
    return Reversal(**(known | fields))


@cache
def _empty() -> bytes:
    """A database at the schema of the centre, as a file: making it takes longer than a test."""
    assert BLUEPRINT.migrations is not None
    with TemporaryDirectory(prefix="engine-") as folder:
        path = Path(folder) / "performance.db"
        migrations.upgrade(path, BLUEPRINT.migrations)
        return path.read_bytes()


@asynccontextmanager
async def centre(start: datetime | None = None) -> AsyncIterator[Centre]:
    """A centre with an empty database; customer 1 is of staff 31 and 32, 70 to 30."""
    with TemporaryDirectory(prefix="engine-") as folder:
        database = Path(folder) / "performance.db"
        database.write_bytes(_empty())
        clock, book = ManualClock(start), Book({1: [(31, 7_000, 1), (32, 3_000, 2)]})
        credit_ids = CountedIds()
        async with SQLiteStore(database, tracer=NullTracer()) as store:
            recording = Recording(
                store, book, result_ids=CountedIds(), credit_ids=credit_ids, clock=clock
            )
            yield Centre(
                store=store,
                recording=recording,
                reactions=Reactions(LateCauses(store, book, credit_ids, clock)),
                sums=Sums(store),
                ledger=Credits(store),
                book=book,
                clock=clock,
            )
