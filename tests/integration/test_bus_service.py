"""The bus over real sockets: who may, how much at once, what operators see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

from engine.mesh.v1 import bus_pb2 as pb
from engine.mesh.v1.bus_pb2_grpc import BusServiceStub
from engine.mesh.v1.event_pb2 import Event
from loadtests.servers import Redis
from mesh import bus
from mesh.bus.app import BLUEPRINT
from mesh.errors import ErrorView
from mesh.events import Effect, Subscription, event
from mesh.service import RIGHTS_OF_ALL, Blueprint, Parts, Service
from mesh.storage import Store, Transaction
from mesh.testing import Mesh

if TYPE_CHECKING:
    from engine.mesh.v1.bus_pb2_grpc import BusServiceAsyncStub

MIGRATIONS = Path(bus.__file__).parent / "migrations"  # any that exist: the outbox is the store's


@pytest.fixture(params=["embedded", pytest.param("redis", marks=pytest.mark.real)])
async def mesh(request: pytest.FixtureRequest, var: Path) -> AsyncIterator[Mesh]:
    """A mesh whose bus holds the log itself, or shows the one that Redis holds."""
    settings: dict[str, object] = {}
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        server.command("FLUSHALL")  # keys cannot be told apart: services take them as they are
        settings = {"bus": "redis", "redis_url": server.url, "redis_timeout_s": 5.0}
    async with Mesh(var, **settings) as mesh:
        yield mesh


@pytest.fixture
async def shop(mesh: Mesh) -> BusServiceAsyncStub:
    """The bus as a service `shop` sees it."""
    mesh.trust("shop", RIGHTS_OF_ALL)
    await mesh.start(BLUEPRINT)
    return BusServiceStub(mesh.channel("bus", caller="shop"))


@pytest.fixture
def operator(mesh: Mesh, shop: BusServiceAsyncStub) -> BusServiceAsyncStub:
    """The bus as a signed-on operator sees it."""
    token = mesh.token("op001", permissions={"bus.read", "bus.replay"})
    return BusServiceStub(mesh.channel("bus", token=token))


def told(*texts: str, topic: str = "orders") -> pb.AppendRequest:
    return pb.AppendRequest(events=[event(StringValue(value=t), topic=topic) for t in texts])


def said(events: Sequence[pb.LoggedEvent]) -> list[str]:
    return [StringValue.FromString(logged.event.payload).value for logged in events]


def ask(group: str = "tasks", member: str = "m1", **more: object) -> pb.PollRequest:
    return pb.PollRequest(group=group, topic="orders", member=member, **more)  # type: ignore[arg-type]


async def bury(shop: BusServiceAsyncStub, group: str, *texts: str) -> None:
    """Let a group give up these events; it has nothing else to consume then."""
    await shop.Append(told(*texts))
    found = (await shop.Poll(ask(group))).events
    buried = [
        pb.Buried(position=logged.position, attempts=6, error="LookupError")
        for logged in found
        if said([logged])[0] in texts
    ]
    settled = pb.Settled(position=found[-1].position, buried=buried)
    await shop.Poll(ask(group, settled=settled))


async def test_only_services_publish_and_consume(mesh: Mesh, shop: BusServiceAsyncStub) -> None:
    """A user may not, whatever his rights; and a service may not read what operators do."""
    token = mesh.token("rm001", permissions={"bus.publish", "bus.consume", "bus.read"})
    user = BusServiceStub(mesh.channel("bus", token=token))
    nobody = BusServiceStub(mesh.channel("bus"))
    for call, code in (
        (user.Append(told("a")), grpc.StatusCode.PERMISSION_DENIED),
        (user.Poll(ask()), grpc.StatusCode.PERMISSION_DENIED),
        (nobody.Append(told("a")), grpc.StatusCode.UNAUTHENTICATED),
        (nobody.ListEvents(pb.ListEventsRequest()), grpc.StatusCode.UNAUTHENTICATED),
        (shop.ListEvents(pb.ListEventsRequest()), grpc.StatusCode.PERMISSION_DENIED),
        (
            user.ReplayDeadLetters(pb.ReplayDeadLettersRequest(group="x")),
            grpc.StatusCode.PERMISSION_DENIED,
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is code


async def test_nobody_tells_events_in_anothers_name(
    mesh: Mesh, shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """Else any service could fire triggers, and make tasks of them; other topics are free."""
    for text, topic in (("mine", "shop"), ("anybody's", "orders")):
        await shop.Append(told(text, topic=topic))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.Append(told("forged", topic="bus"))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert ErrorView.from_rpc(refused.value).reason == "TOPIC_OF_ANOTHER"
    assert len((await operator.ListEvents(pb.ListEventsRequest())).events) == 2


async def test_a_batch_is_taken_whole_or_not_at_all(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """One bad event, or too many bytes, and none of them is there."""
    bad = told("a", "b")
    bad.events[1].event_id = "not an id"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.Append(bad)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    big = [event(BytesValue(value=bytes(250_000)), topic="orders") for _ in range(18)]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.Append(pb.AppendRequest(events=big))
    assert ErrorView.from_rpc(refused.value).reason == "BATCH_TOO_LARGE"
    assert not (await operator.ListEvents(pb.ListEventsRequest())).events


async def test_answers_stay_within_what_a_message_may_hold(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """Large events come in several answers, none is left out."""
    for _ in range(3):
        big = [event(BytesValue(value=bytes(250_000)), topic="orders") for _ in range(10)]
        await shop.Append(pb.AppendRequest(events=big))
    counts, settled = [], pb.Settled()
    while events := (await shop.Poll(ask(settled=settled))).events:
        counts.append(len(events))
        buried = [pb.Buried(position=e.position, attempts=6, error="x") for e in events]
        settled = pb.Settled(position=events[-1].position, buried=buried)
    assert sum(counts) == 30
    assert max(counts) == 16, "4 MiB"
    assert len((await operator.ListEvents(pb.ListEventsRequest(page_size=100))).events) == 16
    letters, request = 0, pb.ListDeadLettersRequest(page_size=100)
    while True:
        page = await operator.ListDeadLetters(request)
        assert len(page.dead_letters) <= 16
        letters += len(page.dead_letters)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert letters == 30
    await operator.ReplayDeadLetters(pb.ReplayDeadLettersRequest(group="shop.tasks"))
    assert len((await shop.Poll(ask())).events) == 16


async def test_a_member_that_is_gone_makes_room(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """Its call ended without an answer: it may be dead, and another is served at once."""
    waiting = asyncio.ensure_future(_poll(shop, ask(member="m1", wait=Duration(seconds=30))))
    await _until_known(operator)
    assert not (await shop.Poll(ask(member="m2"))).active
    waiting.cancel()
    async with asyncio.timeout(5):
        while True:
            if (await shop.Poll(ask(member="m2"))).active:
                break


async def test_a_call_that_breaks_late_frees_nobody_elses_place(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """The member asked again before the bus learned that its first call was gone."""
    first = asyncio.ensure_future(_poll(shop, ask(member="m1", wait=Duration(seconds=30))))
    await _until_known(operator)
    again = asyncio.ensure_future(_poll(shop, ask(member="m1", wait=Duration(seconds=30))))
    for _ in range(5):
        assert not (await shop.Poll(ask(member="m2"))).active
    first.cancel()
    for _ in range(20):
        assert not (await shop.Poll(ask(member="m2"))).active
    again.cancel()


async def test_a_bus_that_stops_lets_nobody_wait(mesh: Mesh) -> None:
    """A poll is answered with nothing, long before its time."""
    mesh.trust("shop", {*RIGHTS_OF_ALL, "bus.read"})
    app = await mesh.start(BLUEPRINT)
    shop = BusServiceStub(mesh.channel("bus", caller="shop"))
    waiting = asyncio.ensure_future(_poll(shop, ask(wait=Duration(seconds=30))))
    await _until_known(shop)
    await app.drain()
    answer = await asyncio.wait_for(waiting, 5)
    assert answer.active
    assert not answer.events


async def _until_known(stub: BusServiceAsyncStub) -> None:
    """Until a group has asked for the first time."""
    while True:
        if (await stub.ListGroups(pb.ListGroupsRequest())).groups:
            break


async def _poll(stub: BusServiceAsyncStub, request: pb.PollRequest) -> pb.PollResponse:
    return await stub.Poll(request)


async def test_events_are_listed(shop: BusServiceAsyncStub, operator: BusServiceAsyncStub) -> None:
    """The newest, those behind a place, of one topic or all; always in their order."""
    await shop.Append(told("a", "b"))
    await shop.Append(told("x", topic="other"))
    await shop.Append(told("c", "d"))

    async def listed(**request: object) -> list[str]:
        answer = await operator.ListEvents(pb.ListEventsRequest(**request))  # type: ignore[arg-type]
        return said(answer.events)

    assert await listed() == ["a", "b", "x", "c", "d"]
    assert await listed(after=-1, page_size=3) == ["x", "c", "d"]
    assert await listed(after=-1, page_size=3, topic="orders") == ["b", "c", "d"]
    assert await listed(after=1, page_size=2, topic="orders") == ["b", "c"]
    (newest,) = (await operator.ListEvents(pb.ListEventsRequest(after=-1, page_size=1))).events
    assert await listed(after=newest.position) == []
    assert await listed(topic="none") == []


async def test_a_listing_waits_for_the_next_event(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """Of any topic when none is named."""
    request = pb.ListEventsRequest(wait=Duration(seconds=30))
    waiting = asyncio.ensure_future(operator.ListEvents(request))
    await asyncio.sleep(0.01)
    await shop.Append(told("a"))
    assert said((await asyncio.wait_for(waiting, 10)).events) == ["a"]


async def test_groups_are_listed_with_how_far_they_are(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """What waits and what is dead, of each group and topic."""
    await bury(shop, "tasks", "poison")
    await shop.Append(told("b", "c"))
    await shop.Poll(ask("other"))
    found = (await operator.ListGroups(pb.ListGroupsRequest())).groups
    assert [(g.group, g.topic, g.position, g.lag, g.dead) for g in found] == [
        ("shop.other", "orders", 0, 3, 0),
        ("shop.tasks", "orders", 1, 2, 1),
    ]


async def test_dead_letters_are_listed_and_replayed(
    shop: BusServiceAsyncStub, operator: BusServiceAsyncStub
) -> None:
    """By group, in pages, with why; replayed by number or group."""
    await bury(shop, "tasks", *(f"{n}" for n in range(3)))
    await bury(shop, "other", "x")
    first = await operator.ListDeadLetters(
        pb.ListDeadLettersRequest(group="shop.tasks", page_size=2)
    )
    assert said([letter.logged for letter in first.dead_letters]) == ["0", "1"]
    letter = first.dead_letters[0]
    assert (letter.group, letter.attempts, letter.error) == ("shop.tasks", 6, "LookupError")
    assert letter.HasField("time")
    assert not letter.replaying
    second = await operator.ListDeadLetters(
        pb.ListDeadLettersRequest(group="shop.tasks", page_size=2, page_token=first.next_page_token)
    )
    assert said([letter.logged for letter in second.dead_letters]) == ["2"]
    assert not second.next_page_token

    by_id = pb.ReplayDeadLettersRequest(dead_letter_ids=[letter.dead_letter_id])
    assert (await operator.ReplayDeadLetters(by_id)).replaying == 1
    every = await operator.ListDeadLetters(pb.ListDeadLettersRequest())
    assert [letter.replaying for letter in every.dead_letters] == [True, False, False, False]
    (again,) = (await shop.Poll(ask())).events
    buried = pb.Buried(
        position=again.position, dead_letter_id=again.dead_letter_id, attempts=6, error="KeyError"
    )
    await shop.Poll(ask(settled=pb.Settled(buried=[buried])))
    every = await operator.ListDeadLetters(pb.ListDeadLettersRequest())
    letter = every.dead_letters[0]
    assert (letter.attempts, letter.error, letter.replaying) == (12, "KeyError", False)

    group = pb.ReplayDeadLettersRequest(group="shop.tasks")
    assert (await operator.ReplayDeadLetters(group)).replaying == 3


async def test_replaying_what_is_not_there_is_an_error(operator: BusServiceAsyncStub) -> None:
    """With the next step; an empty group has nothing to replay."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await operator.ReplayDeadLetters(pb.ReplayDeadLettersRequest(dead_letter_ids=[7]))
    view = ErrorView.from_rpc(refused.value)
    assert view.reason == "DEAD_LETTER_NOT_FOUND"
    assert view.next_step
    none = pb.ReplayDeadLettersRequest(group="shop.none")
    assert (await operator.ReplayDeadLetters(none)).replaying == 0


@dataclass
class Toy:
    """A service that tells orders and consumes them."""

    name: str
    react: Callable[[Event], Effect | None] | None = None
    heard: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    store: Store | None = None

    @property
    def blueprint(self) -> Blueprint:
        return Blueprint(name=self.name, build=self._build, migrations=MIGRATIONS)

    def _build(self, parts: Parts) -> Service:
        self.store = parts.store
        subscription = Subscription(group="toy", topic="orders", react=self._react)
        return Service(servicers=[], subscriptions=[subscription])

    async def _react(self, given: Event) -> Effect:
        text = StringValue.FromString(given.payload).value

        async def effect(_: Transaction) -> None:
            self.heard.append(f"{given.source}: {text}")
            self.changed.set()

        return effect

    async def tell(self, *texts: str) -> None:
        assert self.store is not None
        async with self.store.transaction() as tx:
            for text in texts:
                tx.publish(event(StringValue(value=text), topic="orders"))

    async def until(self, count: int) -> list[str]:
        while len(self.heard) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)
        return self.heard


async def test_services_hear_what_others_committed(mesh: Mesh) -> None:
    """From the outbox of one to the effect in all, though the bus comes last."""
    shop, till = Toy("shop"), Toy("till")
    await mesh.start(shop.blueprint)
    await mesh.start(till.blueprint)
    await shop.tell("a", "b")
    await mesh.start(BLUEPRINT)
    assert await till.until(2) == ["shop: a", "shop: b"]
    assert await shop.until(2) == ["shop: a", "shop: b"]
    await till.tell("c")
    assert (await till.until(3))[2] == "till: c"
