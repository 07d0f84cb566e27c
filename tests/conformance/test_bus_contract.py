"""What every bus must do."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import StringValue

from engine.mesh.v1.bus_pb2 import (
    AppendRequest,
    Buried,
    LoggedEvent,
    PollRequest,
    PollResponse,
    ReplayDeadLettersRequest,
    Settled,
)
from engine.mesh.v1.bus_pb2_grpc import BusServiceStub
from mesh.bus.app import BLUEPRINT
from mesh.bus.news import News
from mesh.clock import ManualClock
from mesh.events import EventBus, LocalBus, RemoteBus, event
from mesh.redis import RedisClient
from mesh.redis._bus_keys import BusKeys
from mesh.redis.bus import BusOptions, RedisBus, RedisView
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh

SHOP, TILL = "shop", "till"


class Buses(Protocol):
    """One bus, as two services see it; `replay` is what an operator does, `advance` what time."""

    def of(self, service: str) -> EventBus: ...
    async def replay(self) -> None: ...
    async def advance(self, seconds: float) -> None: ...


class Local:
    def __init__(self) -> None:
        self._clock = ManualClock()
        self._bus = LocalBus(SHOP, clock=self._clock)

    def of(self, service: str) -> EventBus:
        return self._bus.of(service)

    async def replay(self) -> None:
        await self._bus.replay()

    async def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)


class Remote:
    def __init__(self, mesh: Mesh, clock: ManualClock) -> None:
        self._clock = clock
        self._mesh = mesh

    def of(self, service: str) -> EventBus:
        return RemoteBus(self._mesh.channel("bus", caller=service))

    async def replay(self) -> None:
        token = self._mesh.token("op", permissions={"bus.read", "bus.replay"})
        stub = BusServiceStub(self._mesh.channel("bus", token=token))
        await stub.ReplayDeadLetters(ReplayDeadLettersRequest(group=f"{SHOP}.tasks"))

    async def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)


class Streams:
    """On Redis, whose clock nobody sets: a second of a lease is a thousand here.

    So what the test itself takes does not count, and time passes by shortening the leases.
    """

    scale: Final = 1_000

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._options = BusOptions(
            lease_s=3.0 * self.scale, renew_s=0.02, prefix=f"contract-{secrets.token_hex(4)}"
        )
        self._polls: list[Polls] = []

    def of(self, service: str) -> EventBus:
        self._polls.append(Polls(RedisBus(self._redis, service, self._options)))
        return self._polls[-1]

    async def replay(self) -> None:
        view = RedisView(self._redis, News(), self._options.prefix)
        await view.replay((), f"{SHOP}.tasks")

    async def advance(self, seconds: float) -> None:
        """Let leases run out by this, a second at a time, while who waits renews."""
        lease = BusKeys(self._options.prefix).of("orders").lease(f"{SHOP}.tasks")
        while seconds > 0:
            passed, seconds = min(seconds, 1.0), seconds - 1.0
            left_ms = await self._redis.execute("PTTL", lease)
            left_ms -= int(passed * 1_000 * self.scale)
            await self._redis.execute("PEXPIRE", lease, left_ms)
            async with asyncio.timeout(10):
                while any(bus.waiting for bus in self._polls):
                    if await self._redis.execute("PTTL", lease) > left_ms:
                        break


class Polls:
    """A bus that knows how many polls wait."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self.waiting = 0

    async def append(self, request: AppendRequest) -> None:
        await self._bus.append(request)

    async def poll(self, request: PollRequest) -> PollResponse:
        waits = request.wait.seconds > 0
        self.waiting += waits
        try:
            return await self._bus.poll(request)
        finally:
            self.waiting -= waits


@asynccontextmanager
async def open_local(_: pytest.FixtureRequest) -> AsyncIterator[Buses]:
    yield Local()


@asynccontextmanager
async def open_remote(request: pytest.FixtureRequest) -> AsyncIterator[Buses]:
    var: Path = request.getfixturevalue("var")
    async with Mesh(var) as mesh:
        for service in (SHOP, TILL):
            mesh.trust(service, RIGHTS_OF_ALL)
        clock = ManualClock()
        await mesh.start(BLUEPRINT, clock=clock)
        yield Remote(mesh, clock)


@asynccontextmanager
async def open_redis(request: pytest.FixtureRequest) -> AsyncIterator[Buses]:
    async with RedisClient(request.getfixturevalue("redis_server").url, timeout_s=5.0) as redis:
        yield Streams(redis)


@asynccontextmanager
async def open_redis_cluster(request: pytest.FixtureRequest) -> AsyncIterator[Buses]:
    async with RedisClient(request.getfixturevalue("redis_cluster").url, timeout_s=5.0) as redis:
        yield Streams(redis)


@pytest.fixture(
    params=[
        open_local,
        open_remote,
        pytest.param(open_redis, marks=pytest.mark.real),
        pytest.param(open_redis_cluster, marks=pytest.mark.real),
    ],
    ids=["local", "remote", "redis", "redis-cluster"],
)
async def buses(request: pytest.FixtureRequest) -> AsyncIterator[Buses]:
    async with request.param(request) as opened:
        yield opened


def told(*texts: str, topic: str = "orders") -> AppendRequest:
    return AppendRequest(events=[event(StringValue(value=t), topic=topic) for t in texts])


def said(logged: LoggedEvent) -> str:
    return StringValue.FromString(logged.event.payload).value


def texts(answer: PollResponse) -> list[str]:
    return [said(logged) for logged in answer.events]


def ask(
    member: str = "m1",
    *,
    group: str = "tasks",
    topic: str = "orders",
    most: int = 0,
    wait_s: int = 0,
    settled: Settled | None = None,
    leaving: bool = False,
    renewing: bool = False,
) -> PollRequest:
    return PollRequest(
        group=group,
        topic=topic,
        member=member,
        max_events=most,
        wait=Duration(seconds=wait_s),
        settled=settled,
        leaving=leaving,
        renewing=renewing,
    )


async def test_a_group_has_the_events_of_its_topic_in_their_order(buses: Buses) -> None:
    """Also those from before it existed, and none of another topic."""
    bus = buses.of(SHOP)
    await bus.append(told("a", "b"))
    await bus.append(told("x", topic="other"))
    await bus.append(told("c"))
    answer = await bus.poll(ask())
    assert answer.active
    assert texts(answer) == ["a", "b", "c"]
    places = [logged.position for logged in answer.events]
    assert places == sorted(set(places))
    assert not any(logged.dead_letter_id for logged in answer.events)


async def test_events_say_which_service_told_them(buses: Buses) -> None:
    """Whatever they said; a service's own work has the service as its actor."""
    request = told("a", "b")
    request.events[0].source = "somebody else"
    request.events[0].actor = "rm001"
    await buses.of(TILL).append(request)
    answer = await buses.of(SHOP).poll(ask())
    assert [logged.event.source for logged in answer.events] == [TILL, TILL]
    assert [logged.event.actor for logged in answer.events] == ["rm001", "mesh:till"]


async def test_what_is_not_settled_comes_again(buses: Buses) -> None:
    """What is settled does not, and an offset never goes back."""
    bus = buses.of(SHOP)
    await bus.append(told("a", "b", "c"))
    first = await bus.poll(ask(most=2))
    assert texts(first) == ["a", "b"]
    assert texts(await bus.poll(ask(most=2))) == ["a", "b"]
    last = first.events[-1].position
    assert texts(await bus.poll(ask(settled=Settled(position=last)))) == ["c"]
    back = Settled(position=first.events[0].position)
    assert texts(await bus.poll(ask(settled=back))) == ["c"]


async def test_groups_do_not_know_of_one_another(buses: Buses) -> None:
    """Neither those of one service, nor those of one name in two services."""
    shop, till = buses.of(SHOP), buses.of(TILL)
    await shop.append(told("a"))
    (had,) = (await shop.poll(ask())).events
    assert not (await shop.poll(ask(settled=Settled(position=had.position)))).events
    assert texts(await shop.poll(ask(group="other"))) == ["a"]
    assert texts(await till.poll(ask())) == ["a"]


async def test_a_poll_waits_for_events(buses: Buses) -> None:
    """It is answered when one comes, not when the wait is over; another topic does not wake it."""
    bus = buses.of(SHOP)
    waiting = asyncio.ensure_future(bus.poll(ask(wait_s=30)))
    await bus.append(told("x", topic="other"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await bus.append(told("a"))
    assert texts(await asyncio.wait_for(waiting, 10)) == ["a"]


async def test_one_member_is_served_at_a_time(buses: Buses) -> None:
    """A stand-by hears so at once, though it would wait; it takes over when the lease is over."""
    bus = buses.of(SHOP)
    await bus.append(told("a"))
    assert (await bus.poll(ask("m1"))).active
    refused = await bus.poll(ask("m2", wait_s=30))
    assert (refused.active, len(refused.events)) == (False, 0)
    await buses.advance(2.5)
    assert (await bus.poll(ask("m1"))).active, "asking renews the lease"
    await buses.advance(2.5)
    assert not (await bus.poll(ask("m2"))).active
    await buses.advance(1.0)
    assert texts(await bus.poll(ask("m2"))) == ["a"]
    assert not (await bus.poll(ask("m1"))).active


async def test_who_works_long_renews(buses: Buses) -> None:
    """It gets nothing by that, and is served for as long as it goes on; a stand-by cannot."""
    bus = buses.of(SHOP)
    await bus.append(told("a"))
    await bus.poll(ask("m1"))
    for _ in range(3):
        await buses.advance(2.5)
        renewed = await bus.poll(ask("m1", renewing=True))
        assert (renewed.active, len(renewed.events)) == (True, 0)
        assert not (await bus.poll(ask("m2", renewing=True))).active
        assert not (await bus.poll(ask("m2"))).active
    await buses.advance(3.5)
    assert texts(await bus.poll(ask("m2"))) == ["a"]


async def test_renewing_shortens_no_wait(buses: Buses) -> None:
    """A word of the last batch that comes late does not end the lease of the next poll."""
    bus = buses.of(SHOP)
    waiting = asyncio.ensure_future(bus.poll(ask("m1", wait_s=30)))
    await asyncio.sleep(0.05)
    assert (await bus.poll(ask("m1", renewing=True))).active
    await buses.advance(20.0)
    assert not (await bus.poll(ask("m2"))).active
    await bus.append(told("a"))
    assert texts(await asyncio.wait_for(waiting, 10)) == ["a"]


async def test_a_stand_by_settles_nothing(buses: Buses) -> None:
    """What it consumed while it was served is the next one's to tell."""
    bus = buses.of(SHOP)
    await bus.append(told("a"))
    (had,) = (await bus.poll(ask("m1"))).events
    await buses.advance(11.0)
    await bus.poll(ask("m2"))
    late = Settled(position=had.position)
    assert not (await bus.poll(ask("m1", settled=late))).active
    assert texts(await bus.poll(ask("m2"))) == ["a"]


async def test_who_leaves_makes_room_at_once(buses: Buses) -> None:
    """And what it settles holds."""
    bus = buses.of(SHOP)
    await bus.append(told("a", "b"))
    had = (await bus.poll(ask("m1", most=1))).events[0]
    left = await bus.poll(ask("m1", settled=Settled(position=had.position), leaving=True))
    assert not left.events
    assert texts(await bus.poll(ask("m2"))) == ["b"]


async def test_what_is_buried_comes_again_when_it_is_replayed(buses: Buses) -> None:
    """Before what is new, until it is settled as replayed."""
    bus = buses.of(SHOP)
    await bus.append(told("poison", "b"))
    poison, b = (await bus.poll(ask())).events
    buried = Buried(position=poison.position, attempts=6, error="LookupError")
    settled = Settled(position=b.position, buried=[buried])
    assert not (await bus.poll(ask(settled=settled))).events
    await bus.append(told("c"))
    waiting = await bus.poll(ask())
    assert texts(waiting) == ["c"]

    await buses.replay()
    again = (await bus.poll(ask())).events[0]
    assert said(again) == "poison"
    assert again.dead_letter_id
    assert again.position == poison.position
    assert again.event.event_id == poison.event.event_id
    done = Settled(replayed=[again.dead_letter_id])
    answer = await bus.poll(ask(settled=done))
    assert texts(answer) == ["c"]
    await buses.replay()
    assert texts(await bus.poll(ask())) == ["c"]


async def test_a_replay_that_fails_is_buried_again(buses: Buses) -> None:
    """It comes no more until it is replayed once more; and a replay wakes a poll that waits."""
    bus = buses.of(SHOP)
    await bus.append(told("poison"))
    (poison,) = (await bus.poll(ask())).events
    buried = Buried(position=poison.position, attempts=6, error="LookupError")
    settled = Settled(position=poison.position, buried=[buried])
    assert not (await bus.poll(ask(settled=settled))).events
    for _ in range(2):
        waiting = asyncio.ensure_future(bus.poll(ask(wait_s=30)))
        await asyncio.sleep(0.01)
        await buses.replay()
        (again,) = (await asyncio.wait_for(waiting, 10)).events
        buried.dead_letter_id = again.dead_letter_id
        assert not (await bus.poll(ask(settled=Settled(buried=[buried])))).events


async def test_an_answer_holds_as_many_events_as_asked_for(buses: Buses) -> None:
    """500 when nothing is said."""
    bus = buses.of(SHOP)
    await bus.append(told(*(f"{n}" for n in range(600))))
    assert len((await bus.poll(ask())).events) == 500
    assert len((await bus.poll(ask(most=599))).events) == 599
