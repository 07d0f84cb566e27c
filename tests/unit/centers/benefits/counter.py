"""A benefits centre without its service: use cases over a real store of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from centers.benefits import stock_rows
from centers.benefits.app import BLUEPRINT
from centers.benefits.domain import Claim, Stock, Terms
from centers.benefits.grants import Giving
from centers.benefits.tables import grant
from centers.benefits.task_rows import Tasks
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import Event
from mesh.clock import ManualClock
from mesh.storage import Row, SQLiteStore, migrations
from mesh.telemetry import NullTracer

ACTIVITY = 1
NO_TERMS = Terms(limit_per_customer=3, start=None, end=None)


class CountedIds:
    """Ids of a test, rising."""

    def __init__(self) -> None:
        self._ids = count(1)

    async def next(self) -> int:
        return next(self._ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The use cases, with what they work on."""

    store: SQLiteStore
    giving: Giving
    clock: ManualClock

    async def open(self, terms: Terms = NO_TERMS, *, issued: int = 0) -> None:
        """Put the activity's terms in force."""
        async with self.store.transaction() as tx:
            await stock_rows.open_stock(tx, ACTIVITY, "GIFT-1", terms)
        if issued:
            await self.issue(issued)

    async def issue(self, quantity: int) -> benefits_pb2.Stock:
        answer = await self.giving.issue(
            ACTIVITY, quantity, lambda counted: benefits_pb2.IssueStockResponse(stock=counted)
        )
        return answer.stock

    async def claim(
        self, customer_id: int, reason: str = "r", *, chain: ChainIds | None = None
    ) -> benefits_pb2.Grant:
        asked = Claim(
            activity_id=ACTIVITY,
            customer_id=customer_id,
            reason_key=reason,
            chain=chain or ChainIds(),
            actor="rm",
        )
        answer = await self.giving.claim(asked, lambda made: benefits_pb2.ClaimResponse(grant=made))
        return answer.grant

    async def redeem(self, grant_id: int) -> benefits_pb2.Grant:
        answer = await self.giving.redeem(
            grant_id, lambda made: benefits_pb2.RedeemGrantResponse(grant=made)
        )
        return answer.grant

    async def revoke(self, grant_id: int) -> benefits_pb2.Grant:
        answer = await self.giving.revoke(
            grant_id, "MISTAKE", lambda made: benefits_pb2.RevokeGrantResponse(grant=made)
        )
        return answer.grant

    async def stock(self) -> Stock:
        return (await stock_rows.Stocks(self.store).of([ACTIVITY]))[ACTIVITY]

    async def rows(self) -> list[Row]:
        return list(await self.store.fetch_all(grant.select().order_by(grant.c.grant_id)))

    async def events(self) -> list[benefits_pb2.Grant]:
        """The grants that the outbox tells of, in its order."""
        found = [Event.FromString(body) for _, body in await self.store.outbox.read(10_000)]
        return [benefits_pb2.GrantChanged.FromString(event.payload).grant for event in found]


@cache
def _empty() -> bytes:
    """A database at the schema of the centre, as a file: making it takes longer than a test."""
    assert BLUEPRINT.migrations is not None
    with TemporaryDirectory(prefix="engine-") as folder:
        path = Path(folder) / "benefits.db"
        migrations.upgrade(path, BLUEPRINT.migrations)
        return path.read_bytes()


@asynccontextmanager
async def centre() -> AsyncIterator[Centre]:
    """A centre with an empty database."""
    with TemporaryDirectory(prefix="engine-") as folder:
        database = Path(folder) / "benefits.db"
        database.write_bytes(_empty())
        clock = ManualClock()
        async with SQLiteStore(database, tracer=NullTracer()) as store:
            yield Centre(
                store=store,
                giving=Giving(store, Tasks(store), CountedIds(), clock),
                clock=clock,
            )
