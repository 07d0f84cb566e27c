"""Cache-aside over a source that the tests control."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from google.protobuf.message import Message

from engine.identity.v1 import identity_pb2
from engine.mesh.v1 import event_pb2
from engine.product.v1 import product_pb2
from mesh.cache import Cached, LocalCache, PersonalDataError
from mesh.clock import ManualClock
from mesh.context import RequestContext, current, using
from mesh.telemetry import Meters

Product = product_pb2.Product


@dataclass
class Source:
    """Answers with what it holds when it is let go."""

    name: str | None = "one"
    error: Exception | None = None
    loads: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    user: str = ""

    async def load(self, key: str) -> Product | None:
        self.loads += 1
        self.user = current().on_behalf_of
        name = self.name
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return None if name is None else Product(code=key, name=name)


@dataclass
class Subject:
    """A cache-aside with parts that a test can move."""

    source: Source = field(default_factory=Source)
    clock: ManualClock = field(default_factory=ManualClock)
    meters: Meters = field(default_factory=Meters)
    chance: float = 0.5
    negative_ttl_s: float = 5.0

    def __post_init__(self) -> None:
        self.source.gate.set()
        self.cache = LocalCache(clock=self.clock)
        self.cached = Cached(
            self.cache,
            self.source.load,
            of=Product,
            name="views",
            ttl_s=100,
            negative_ttl_s=self.negative_ttl_s,
            meters=self.meters,
            clock=self.clock,
            random=lambda: self.chance,
        )

    async def name(self, key: str = "7") -> str | None:
        found = await self.cached.get(key)
        return None if found is None else found.name

    async def begin(self, count: int = 1) -> list[asyncio.Task[str | None]]:
        """Callers that wait for a load which is held."""
        self.source.gate.clear()
        tasks = [asyncio.create_task(self.name()) for _ in range(count)]
        await self.source.entered.wait()
        return tasks

    def count(self, what: str) -> int:
        return self.meters.counter(f"cache.views.{what}").value


async def test_a_value_is_loaded_once_and_then_found() -> None:
    """The second caller does not bother the source."""
    subject = Subject()
    assert [await subject.name(), await subject.name()] == ["one", "one"]
    assert subject.source.loads == 1
    assert (subject.count("hits"), subject.count("misses")) == (1, 1)


async def test_a_hundred_callers_at_once_cost_one_load() -> None:
    """Whoever comes while it is under way waits for it."""
    subject = Subject()
    tasks = await subject.begin(100)
    subject.source.gate.set()
    assert await asyncio.gather(*tasks) == ["one"] * 100
    assert subject.source.loads == 1


async def test_a_cancelled_leader_does_not_fail_the_others() -> None:
    """The first to ask may leave."""
    subject = Subject()
    leader, follower = await subject.begin(2)
    leader.cancel()
    await asyncio.wait([leader])
    subject.source.gate.set()
    assert leader.cancelled()
    assert await follower == "one"
    assert subject.source.loads == 1


async def test_a_load_that_nobody_waits_for_ends_and_the_next_caller_begins_anew() -> None:
    """Also when he comes in the very moment in which the last one leaves."""
    subject = Subject()
    tasks = await subject.begin(2)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    late = asyncio.create_task(subject.name())
    subject.source.gate.set()
    assert await late == "one"
    assert subject.source.loads == 2


async def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    """The next caller asks the source again."""
    subject = Subject(source=Source(error=ConnectionError("away")))
    tasks = await subject.begin(10)
    subject.source.gate.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in ended} == {ConnectionError}
    subject.source.error = None
    assert await subject.name() == "one"
    assert subject.count("failures") == 1


async def test_a_load_runs_as_the_service_and_not_as_the_caller() -> None:
    """Its answer is for everybody."""
    subject = Subject()
    with using(RequestContext(on_behalf_of="rm001")):
        await subject.name()
    assert subject.source.user == ""


@pytest.mark.parametrize(("chance", "ttl_s"), [(0.0, 90), (0.5, 100), (1.0, 110)])
async def test_times_are_spread_by_a_tenth(chance: float, ttl_s: float) -> None:
    """What was loaded together does not expire together."""
    subject = Subject(chance=chance)
    await subject.name()
    subject.source.name = "two"
    subject.clock.advance(ttl_s - 0.1)
    assert await subject.name() == "one"
    subject.clock.advance(0.2)
    assert await subject.name() == "two"


async def test_that_there_is_none_is_kept_for_a_time_of_its_own() -> None:
    """A flood of questions for what does not exist stops here."""
    subject = Subject(source=Source(name=None))
    assert [await subject.name(), await subject.name()] == [None, None]
    assert subject.source.loads == 1
    subject.source.name = "born"
    subject.clock.advance(5)
    assert await subject.name() == "born"


async def test_without_a_time_for_it_nothing_is_kept_of_what_is_not_there() -> None:
    """As is the default."""
    subject = Subject(source=Source(name=None), negative_ttl_s=0)
    assert [await subject.name(), await subject.name()] == [None, None]
    assert subject.source.loads == 2


async def test_invalidated_is_fetched_again() -> None:
    """And only that key."""
    subject = Subject()
    await subject.name("7")
    await subject.name("8")
    subject.source.name = "two"
    await subject.cached.invalidate("7")
    assert [await subject.name("7"), await subject.name("8")] == ["two", "one"]


async def test_a_load_that_began_before_an_invalidation_is_not_kept() -> None:
    """Those who waited for it get it; whoever asks later gets what is new."""
    subject = Subject()
    (early,) = await subject.begin()
    subject.source.name = "two"
    await subject.cached.invalidate("7")
    late = asyncio.create_task(subject.name())
    subject.source.gate.set()
    assert [await early, await late, await subject.name()] == ["one", "two", "two"]


async def test_what_took_long_to_load_is_not_kept() -> None:
    """Its key may have been invalidated by another process longer ago than is remembered."""
    subject = Subject()
    (early,) = await subject.begin()
    subject.clock.advance(1.1)
    subject.source.gate.set()
    assert await early == "one"
    subject.source.name = "two"
    assert await subject.name() == "two"


async def test_events_of_a_topic_invalidate_what_they_bear_on() -> None:
    """Each process of the group that gets one does so."""
    subject = Subject()

    def keys(event: event_pb2.Event) -> list[str]:
        return [event.key]

    subscription = subject.cached.subscription(group="views", topic="product", keys=keys)
    await subject.name("7")
    subject.source.name = "two"
    assert await subscription.react(event_pb2.Event(key="7")) is None
    assert (subscription.group, subscription.topic) == ("views", "product")
    assert await subject.name("7") == "two"


async def test_each_caller_gets_a_message_of_his_own() -> None:
    """What one does to it the others do not see."""
    subject = Subject()
    first = await subject.cached.get("7")
    assert first is not None
    first.name = "changed"
    assert await subject.name() == "one"


@pytest.mark.parametrize("left", [b"", b"\x02new", b"\x01\xff\xff"])
async def test_what_cannot_be_read_is_fetched_again(left: bytes) -> None:
    """Another version of the service may have left it there."""
    subject = Subject()
    await subject.cache.set("views:7", left, ttl_s=100)
    assert await subject.name() == "one"


@pytest.mark.parametrize("kind", [identity_pb2.TokenGrant, identity_pb2.CreateSessionResponse])
def test_a_type_with_personal_data_is_refused(kind: type[Message]) -> None:
    """When it is wired, not when it is used; also when the field is that of a field."""

    async def none(_: str) -> None:
        return None

    with pytest.raises(PersonalDataError, match="access_token is personal data"):
        Cached(LocalCache(), none, of=kind, name="x", ttl_s=1)
