"""What the shelves are made of, read once for many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from centers.product.catalogue import KEPT_S, Catalogue
from centers.product.store import Status
from engine.mesh.v1.event_pb2 import Event
from engine.product.v1 import product_pb2
from mesh.cache import LocalCache
from mesh.clock import ManualClock
from mesh.definitions import State, Version
from mesh.paging import Page, PageRequest
from mesh.telemetry import Meters


@dataclass
class Database:
    """One approved product, and how often it was read."""

    clock: ManualClock
    status: Status = product_pb2.PRODUCT_STATUS_ON_SALE
    reads: int = 0

    async def page(
        self, _: PageRequest, *, state: State | None = None
    ) -> Page[Version[product_pb2.Product]]:
        assert state is State.PUBLISHED
        self.reads += 1
        version = Version(
            definition_id=7,
            version=2,
            version_id=9,
            body=product_pb2.Product(code="D1"),
            state=State.PUBLISHED,
            author="maker",
            create_time=self.clock.now(),
        )
        return Page([version], "")

    async def statuses(self) -> Mapping[int, Status]:
        return {7: self.status}


@dataclass
class Subject:
    """A catalogue over a database that the tests change."""

    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.database = Database(self.clock)
        cache = LocalCache(clock=self.clock)
        self.catalogue = Catalogue(
            self.database, self.database, cache, clock=self.clock, meters=Meters()
        )

    async def status(self) -> Status:
        (product,) = await self.catalogue.products()
        assert (product.definition.definition_id, product.code) == (7, "D1")
        return product.status

    def suspend(self) -> None:
        self.database.status = product_pb2.PRODUCT_STATUS_SUSPENDED


async def test_many_shelves_cost_one_reading() -> None:
    """As long as nothing changes."""
    subject = Subject()
    assert {await subject.status() for _ in range(10)} == {product_pb2.PRODUCT_STATUS_ON_SALE}
    assert subject.database.reads == 1


async def test_a_change_shows_at_once_where_it_is_told() -> None:
    """By the process that made it."""
    subject = Subject()
    await subject.status()
    subject.suspend()
    await subject.catalogue.changed()
    assert await subject.status() == product_pb2.PRODUCT_STATUS_SUSPENDED


async def test_a_change_shows_once_its_event_is_heard() -> None:
    """When the process that made it could not tell any more."""
    subject = Subject()
    await subject.status()
    subject.suspend()
    subscription = subject.catalogue.subscription()
    assert subscription.topic == "product"
    await subscription.react(Event(key="7"))
    assert await subject.status() == product_pb2.PRODUCT_STATUS_SUSPENDED


async def test_a_change_that_nobody_tells_of_shows_after_two_seconds() -> None:
    """And the tenth that is left to chance."""
    subject = Subject()
    await subject.status()
    subject.suspend()
    subject.clock.advance(KEPT_S * 1.11)
    assert await subject.status() == product_pb2.PRODUCT_STATUS_SUSPENDED
