"""The decision centre over a database of its own for each test, with a clock that is held."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from centers.decision import wire
from centers.decision.app import BLUEPRINT, Decision
from centers.decision.models import Shown
from engine.decision.v1 import decision_pb2 as pb
from engine.mesh.v1.event_pb2 import Event
from mesh.clock import ManualClock
from mesh.storage import Address, Store, migrations, open_store
from mesh.telemetry import NullTracer
from tests.chosen import Stores

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
"""Noon in the bank's zone."""


class CountedIds:
    """Ids 1, 2, …"""

    def __init__(self) -> None:
        self._ids = count(1)

    async def next(self) -> int:
        return next(self._ids)

    async def take(self, number: int) -> Sequence[int]:
        return [next(self._ids) for _ in range(number)]


@pytest.fixture
def database(tmp_path: Path, stores: Stores) -> Address:
    place = stores.address(tmp_path, "decision")
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(place, BLUEPRINT.migrations)
    return place


@pytest.fixture
async def store(database: Address) -> AsyncIterator[Store]:
    async with open_store(database, tracer=NullTracer()) as store:
        yield store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def centre(store: Store, clock: ManualClock) -> Decision:
    return Decision(store, CountedIds(), CountedIds(), clock)


@pytest.fixture
def launch(centre: Decision) -> Callable[[pb.Model], Awaitable[int]]:
    """Takes a model through all steps until it is live; answers its id."""

    async def launched(model: pb.Model) -> int:
        drafted = await centre.models.draft(0, model, "an", _shown)
        model_id = drafted.definition.definition_id
        await centre.backtests.make(model_id, 1, _found)
        await centre.models.submit(model_id, "an", _shown)
        await centre.models.launch(model_id, "bo", _shown)
        return model_id

    return launched


@pytest.fixture
def published(store: Store) -> Callable[[], Awaitable[list[Event]]]:
    """Answers the events that wait in the outbox, in their order."""

    async def events() -> list[Event]:
        return [Event.FromString(raw) for _, raw in await store.outbox.read(10_000)]

    return events


def _shown(shown: Shown) -> pb.Model:
    return wire.model(*shown)


def _found(found: pb.Backtest) -> pb.Backtest:
    return found
