"""A database of the review centre's own for each test, and what is heard of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from centers.review.app import BLUEPRINT
from centers.review.behavior_rows import BehaviorRows
from centers.review.events import subscriptions
from engine.mesh.v1.event_pb2 import Event
from mesh.storage import Address, Store, migrations, open_store
from mesh.telemetry import NullTracer
from tests.chosen import Stores


@pytest.fixture
def database(tmp_path: Path, stores: Stores) -> Address:
    place = stores.address(tmp_path, "review")
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(place, BLUEPRINT.migrations)
    return place


@pytest.fixture
async def store(database: Address) -> AsyncIterator[Store]:
    async with open_store(database, tracer=NullTracer()) as store:
        yield store


@pytest.fixture
def log(store: Store) -> BehaviorRows:
    return BehaviorRows(store)


async def hear(store: Store, events: Iterable[Event]) -> None:
    """Let the effects of events take place, all in one transaction, without an inbox."""
    react = {one.topic: one.react for one in subscriptions(BehaviorRows(store))}
    effects = [await react[event.topic](event) for event in events]
    async with store.transaction() as tx:
        for effect in effects:
            if effect is not None:
                await effect(tx)
