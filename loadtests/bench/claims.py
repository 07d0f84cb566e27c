"""Benefit claims on one activity: 64 claimants at once, one in five sent again.

The use case over the store that the service has (SQLite, FULL), in one process; each
claim carries a request id, as over the mesh, and a retry carries another one. The
figure is refused when a claim was lost, the stock was oversold or the ledger does
not balance.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import uvloop

from centers.benefits import stock_rows
from centers.benefits.app import BLUEPRINT
from centers.benefits.domain import Claim, State, Stock, Terms
from centers.benefits.grants import Giving
from centers.benefits.tables import grant
from centers.benefits.task_rows import Tasks
from engine.benefits.v1 import benefits_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from loadtests.bench._figure import Direction, Figure
from mesh.clock import SystemClock
from mesh.storage import IdempotentCall, SQLiteStore, Store, idempotent_call, migrations
from mesh.telemetry import NullTracer

if TYPE_CHECKING:
    from loadtests.bench import Run

CLAIMANTS: Final = 64
RETRY_EVERY: Final = 5
CUSTOMERS, QUICK_CUSTOMERS = 10_000, 1_000
"""Of one round."""

BAR_CLAIMS_PER_S: Final = 1_000
ACTIVITY: Final = 1

_STATES: Final = sa.select(grant.c.state, sa.func.count()).group_by(grant.c.state)


def figures(run: Run) -> Iterator[Figure]:
    """The figures of this suite."""
    customers = QUICK_CUSTOMERS if run.quick else CUSTOMERS
    rounds: list[Stock] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def rush() -> float:
            rate, counted = runner.run(_rush(customers))
            rounds.append(counted)
            return rate

        figure = run.absolute(
            f"claims on one SKU, {CLAIMANTS} claimants, {1 / RETRY_EVERY:.0%} sent again",
            rush,
            unit="claims/s",
            bar=BAR_CLAIMS_PER_S,
            direction=Direction.AT_LEAST,
            note="0 oversold, ledger balanced",
        )
    yield figure
    yield run.report("… granted in a round", rounds[-1].granted, f"of {rounds[-1].issued:,}")
    yield run.report("… on the wait list after it", rounds[-1].wait_listed, "claims")


class _Ids:
    """Ids as the sequencer's buffer has them: at hand."""

    def __init__(self) -> None:
        self._ids = count(1)

    async def next(self) -> int:
        return next(self._ids)


async def _rush(customers: int) -> tuple[float, Stock]:
    """Claims a second, retries included, for half as many as want one; and what is left."""
    async with _opened(stock=customers // 2) as store:
        giving = Giving(store, Tasks(store), _Ids(), SystemClock())
        arrivals = iter(_arrivals(customers))
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLAIMANTS):
                group.create_task(_claimant(giving, arrivals))
        took = perf_counter() - began
        counted = await _audited(store, customers)
    return (customers + customers // RETRY_EVERY) / took, counted


def _arrivals(customers: int) -> Iterator[tuple[int, int]]:
    """Customers in their order, every fifth of them a second time soon after."""
    for customer_id in range(1, customers + 1):
        yield customer_id, 1
        if customer_id % RETRY_EVERY == 0:
            yield customer_id, 2


async def _claimant(giving: Giving, arrivals: Iterator[tuple[int, int]]) -> None:
    for customer_id, attempt in arrivals:
        asked = Claim(
            activity_id=ACTIVITY,
            customer_id=customer_id,
            reason_key="welcome",
            chain=ChainIds(),
            actor="rm001",
        )
        idempotent_call.set(
            IdempotentCall(
                caller="rm001",
                method="/engine.benefits.v1.BenefitsService/Claim",
                request_id=f"{customer_id}-{attempt}",
                request_hash=customer_id.to_bytes(8, "big"),
            )
        )
        await giving.claim(asked, lambda made: benefits_pb2.ClaimResponse(grant=made))


async def _audited(store: Store, customers: int) -> Stock:
    """The stock, once it agrees with the grants one by one."""
    counted = (await stock_rows.Stocks(store).of([ACTIVITY]))[ACTIVITY]
    states = Counter({row[0]: row[1] for row in await store.fetch_all(_STATES)})
    if states.total() != customers:
        raise RuntimeError(f"{customers:,} claimed once, {states.total():,} grants were kept")
    if (states[State.GRANTED], states[State.WAIT_LISTED]) != (counted.issued, counted.wait_listed):
        raise RuntimeError(f"grants {dict(states)} are not what the stock says: {counted}")
    if counted.issued != counted.available + counted.granted + counted.redeemed:
        raise RuntimeError(f"the stock does not balance: {counted}")
    return counted


@asynccontextmanager
async def _opened(*, stock: int) -> AsyncIterator[Store]:
    """A store as the service has it, with an activity that is open."""
    assert BLUEPRINT.migrations is not None
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        path = Path(folder) / "benefits.db"
        migrations.upgrade(path, BLUEPRINT.migrations)
        synchronous = BLUEPRINT.synchronous
        async with SQLiteStore(path, synchronous=synchronous, tracer=NullTracer()) as store:
            terms = Terms(limit_per_customer=1, start=None, end=None)
            async with store.transaction() as tx:
                await stock_rows.open_stock(tx, ACTIVITY, "GIFT-1", terms)
                await stock_rows.issue(tx, ACTIVITY, stock)
            yield store
