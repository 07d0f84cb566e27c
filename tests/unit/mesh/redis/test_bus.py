"""What the bus on Redis does beyond the contract of all buses."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

from engine.mesh.v1.bus_pb2 import AppendRequest, Buried, PollRequest, PollResponse, Settled
from loadtests.servers import Redis
from mesh.bus.news import News
from mesh.errors import MeshError
from mesh.events import event
from mesh.redis import RedisClient
from mesh.redis._bus_keys import BusKeys
from mesh.redis.bus import BusOptions, RedisBus, RedisView

pytestmark = pytest.mark.real

GROUP = "shop.tasks"


class Shop:
    """A bus with keys of its own, as a service `shop` sees it."""

    def __init__(self, redis: RedisClient, **options: object) -> None:
        self.redis = redis
        prefix = f"bus-{secrets.token_hex(4)}"
        self.options = BusOptions(prefix=prefix, **options)  # type: ignore[arg-type]
        self.bus = RedisBus(redis, "shop", self.options)
        self.view = RedisView(redis, News(), prefix)
        self.keys = BusKeys(prefix).of("orders")

    async def tell(self, *texts: str, topic: str = "orders") -> None:
        events = [event(StringValue(value=text), topic=topic) for text in texts]
        await self.bus.append(AppendRequest(events=events))

    async def ask(
        self, member: str = "m1", *, settled: int = 0, most: int = 0, wait_s: int = 0
    ) -> PollResponse:
        return await self.bus.poll(
            PollRequest(
                group="tasks",
                topic="orders",
                member=member,
                max_events=most,
                wait=Duration(seconds=wait_s),
                settled=Settled(position=settled),
            )
        )

    async def end_lease(self) -> None:
        """As time does."""
        await self.redis.execute("DEL", self.keys.lease(GROUP))


def said(answer: PollResponse) -> list[str]:
    return [StringValue.FromString(logged.event.payload).value for logged in answer.events]


@pytest.fixture
async def redis(redis_server: Redis) -> AsyncIterator[RedisClient]:
    async with RedisClient(redis_server.url, timeout_s=5.0) as client:
        yield client


@pytest.fixture
def shop(redis: RedisClient) -> Shop:
    return Shop(redis)


async def test_positions_have_no_gaps(shop: Shop) -> None:
    """However many producers there are: each batch is one step."""
    await asyncio.gather(*(shop.tell(*"abc") for _ in range(20)))
    positions = [logged.position for logged in (await shop.ask()).events]
    assert positions == [*range(1, 61)]


async def test_a_batch_of_several_topics_reaches_each(shop: Shop) -> None:
    """In its order within each of them."""
    events = [
        event(StringValue(value=f"{n}"), topic="orders" if n % 2 else "other") for n in range(6)
    ]
    await shop.bus.append(AppendRequest(events=events))
    assert said(await shop.ask()) == ["1", "3", "5"]


async def test_what_a_member_had_is_the_next_ones(shop: Shop) -> None:
    """In its order, before what is new; and nothing of the member that is gone stays behind."""
    await shop.tell(*"abc")
    await shop.ask("m1")
    await shop.tell(*"de")
    await shop.end_lease()
    assert said(await shop.ask("m2", most=4)) == ["a", "b", "c", "d"]
    assert said(await shop.ask("m2", settled=2)) == ["c", "d", "e"]
    consumers = await shop.redis.execute("XINFO", "CONSUMERS", shop.keys.log, GROUP)
    assert [each[1] for each in consumers] == [b"m2"]


async def test_who_comes_back_by_renewing_has_what_the_other_had(shop: Shop) -> None:
    """Else it would read on behind that, and settle what nobody consumed."""
    await shop.ask("m1")
    await shop.end_lease()
    await shop.tell(*"ab")
    assert said(await shop.ask("m2")) == ["a", "b"]
    await shop.end_lease()
    renewing = PollRequest(group="tasks", topic="orders", member="m1", renewing=True)
    assert (await shop.bus.poll(renewing)).active
    await shop.tell("c")
    assert said(await shop.ask("m1")) == ["a", "b", "c"]


async def test_nothing_is_pending_that_was_settled(shop: Shop) -> None:
    """However many that are at once."""
    for _ in range(3):
        await shop.tell(*map(str, range(1_000)))
    last = (await shop.ask(most=3_000)).events[-1].position
    assert not (await shop.ask(settled=last)).events
    pending, *_ = await shop.redis.execute("XPENDING", shop.keys.log, GROUP)
    assert (last, pending) == (3_000, 0)


async def test_an_answer_stays_within_what_a_message_may_hold(shop: Shop) -> None:
    """What was read beyond that comes with the next one."""
    big = [event(BytesValue(value=bytes(250_000)), topic="orders") for _ in range(16)]
    for _ in range(2):
        await shop.bus.append(AppendRequest(events=big))
    counts, settled = [], 0
    while events := (await shop.ask(settled=settled)).events:
        counts.append(len(events))
        settled = events[-1].position
    assert counts == [16, 16]


async def test_a_wait_renews_the_lease(redis: RedisClient) -> None:
    """It is never longer than a silence may be, so that the place of who died is soon free."""
    shop = Shop(redis, renew_s=0.01)
    waiting = asyncio.ensure_future(shop.ask(wait_s=30))
    lease = shop.keys.lease(GROUP)
    async with asyncio.timeout(10):
        for _ in range(3):
            while not await redis.execute("EXISTS", lease):
                pass
            await redis.execute("PEXPIRE", lease, 60_000)
            while await redis.execute("PTTL", lease) > 3_000:
                pass
    await shop.tell("a")
    assert said(await asyncio.wait_for(waiting, 10)) == ["a"]


async def test_a_member_that_lost_its_place_meanwhile_hears_so(redis: RedisClient) -> None:
    """The wait ends, though there is nothing for it."""
    shop = Shop(redis, renew_s=0.01)
    await shop.ask("m1")
    waiting = asyncio.ensure_future(shop.ask("m1", wait_s=30))
    await redis.execute("SET", shop.keys.lease(GROUP), "m2")
    answer = await asyncio.wait_for(waiting, 10)
    assert (answer.active, len(answer.events)) == (False, 0)


async def test_only_its_own_topics_take_a_services_events(redis: RedisClient) -> None:
    """And those that are no service's."""
    shop = Shop(redis, services={"shop", "till"})
    for topic in ("shop", "orders"):
        await shop.tell("a", topic=topic)
    with pytest.raises(MeshError, match="TOPIC_OF_ANOTHER"):
        await shop.tell("forged", topic="till")


async def test_a_request_that_breaks_the_contract_is_refused(shop: Shop) -> None:
    """As the service bus refuses it: one bad event, and none of them is there."""
    bad = AppendRequest(events=[event(StringValue(value=text), topic="orders") for text in "ab"])
    bad.events[1].event_id = "not an id"
    with pytest.raises(MeshError, match="INVALID_ARGUMENT"):
        await shop.bus.append(bad)
    assert not (await shop.ask()).events


async def test_an_older_copy_lets_nobody_miss_an_event(
    redis: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A member that settles what this log never gave out settles what it did give, and is heard."""
    shop = Shop(redis)
    await shop.tell(*"ab")
    last = (await shop.ask()).events[-1].position
    await shop.tell("c")  # stands for another that had the same position
    with caplog.at_level(logging.ERROR, "mesh"):
        assert said(await shop.ask(settled=last + 5)) == ["c"]
    assert [record.message for record in caplog.records] == ["bus_lost_events"]


@pytest.mark.parametrize("gone", [("log",), ("log", "head")])
async def test_a_group_whose_log_was_removed_begins_again(
    shop: Shop, gone: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """It has all that was appended since, whatever their positions, and it is told."""
    await shop.tell(*"abc")
    await shop.ask(settled=(await shop.ask()).events[-1].position)
    await shop.redis.execute("DEL", *(getattr(shop.keys, name) for name in gone))
    await shop.tell("d", "e")
    with caplog.at_level(logging.ERROR, "mesh"):
        assert said(await shop.ask()) == ["d", "e"]
        assert said(await shop.ask()) == ["d", "e"]
    assert [record.message for record in caplog.records] == ["bus_lost_events"]


async def test_positions_go_on_when_only_the_log_is_left(shop: Shop) -> None:
    """They are never given twice."""
    await shop.tell(*"abc")
    await shop.redis.execute("DEL", shop.keys.head)
    await shop.tell("d")
    assert [logged.position for logged in (await shop.ask()).events] == [1, 2, 3, 4]


async def test_a_letter_buried_twice_is_one(shop: Shop) -> None:
    """Its member died before it heard that the bus had understood."""
    await shop.tell("poison")
    (poison,) = (await shop.ask()).events
    buried = Buried(position=poison.position, attempts=6, error="LookupError")
    for _ in range(2):
        settled = Settled(position=poison.position, buried=[buried])
        await shop.bus.poll(
            PollRequest(group="tasks", topic="orders", member="m1", settled=settled)
        )
    (letter,) = await shop.view.page("", 0, 10)
    assert (letter.attempts, letter.key.group) == (6, GROUP)


async def test_events_of_all_topics_are_listed_by_their_time(shop: Shop) -> None:
    """And go on behind any of them."""
    for number in range(6):
        await shop.tell(f"{number}", topic="orders" if number % 2 else "other")
    every = await shop.view.events("", 0, 10, 0)
    places = [logged.position for logged in every]
    assert len(places) == 6
    assert places == sorted(set(places))
    assert await shop.view.events("", places[3], 10, 0) == every[4:]
    assert await shop.view.events("", -1, 2, 0) == every[-2:]
    assert await shop.view.events("", 0, 2, 0) == every[:2]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_members_do_the_group_has_each_event_in_turn(shop: Shop, seed: int) -> None:
    """Each answer begins right behind what is settled, whoever asks, and leaves nothing out."""
    chance = random.Random(seed)
    last = settled = 0
    served = ""
    had = dict.fromkeys(("m1", "m2", "m3"), 0)
    for _ in range(150):
        member = chance.choice([*had])
        match chance.choice(["tell", "end", "renew", "ask", "ask", "ask"]):
            case "tell":
                count = chance.randint(1, 100)
                await shop.tell(*"x" * count)
                last += count
            case "end":
                await shop.end_lease()
                served = ""
            case "renew":
                renewing = PollRequest(group="tasks", topic="orders", member=member, renewing=True)
                renewed = await shop.bus.poll(renewing)
                assert renewed.active == (served in ("", member))
                served = served or member
            case _:
                done, most = chance.choice([0, had[member]]), chance.randint(1, 150)
                answer = await shop.ask(member, settled=done, most=most)
                assert answer.active == (served in ("", member))
                if answer.active:
                    served, settled = member, max(settled, done)
                    places = [logged.position for logged in answer.events]
                    assert places == [*range(settled + 1, min(last, settled + most) + 1)]
                    had[member] = places[-1] if places else 0
