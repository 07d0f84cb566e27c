"""Who hears of ended sessions, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from centers.identity import revocations
from centers.identity.domain import Revocation
from centers.identity.errors import IdentityReason
from centers.identity.revocations import BLOCK, HEARTBEAT_S, News, RevocationFeed
from mesh.clock import ManualClock
from mesh.errors import MeshError


class Feed(RevocationFeed):
    """A feed that notes what it applied."""

    def __init__(self, clock: ManualClock, **bounds: int) -> None:
        self.applied: list[str] = []
        super().__init__(clock, lambda r: self.applied.append(r.session_id), **bounds)
        self._started = clock.now()
        self.ended = 0

    def end(self, *sessions: str, after_s: float = 300) -> None:
        expires = self._started + timedelta(seconds=after_s)
        self.publish(
            Revocation(session_id=session, expires=expires, place=self.ended + number)
            for number, session in enumerate(sessions, 1)
        )
        self.ended += len(sessions)


async def ids(blocks: AsyncIterator[News]) -> list[str]:
    return [revocation.session_id for revocation in (await anext(blocks)).revocations]


@pytest.fixture
def feed(clock: ManualClock) -> Feed:
    return Feed(clock)


async def test_a_watch_without_revocations_says_that_it_stands(feed: Feed) -> None:
    """The first block comes at once and is empty."""
    async with aclosing(feed.watch()) as watch:
        assert await ids(watch) == []


async def test_a_watch_begins_with_those_in_force(feed: Feed, clock: ManualClock) -> None:
    """Revocations whose tokens have all expired are left out."""
    feed.end("short", after_s=10)
    feed.end("long", after_s=300)
    clock.advance(10)
    async with aclosing(feed.watch()) as watch:
        assert await ids(watch) == ["long"]


async def test_every_watcher_hears_of_each_as_it_happens(feed: Feed) -> None:
    """Two watchers get the same revocation, after what they began with."""
    async with aclosing(feed.watch()) as first, aclosing(feed.watch()) as second:
        assert await ids(first) == await ids(second) == []
        feed.end("one")
        assert await ids(first) == await ids(second) == ["one"]
        feed.end("two")
        feed.end("three")
        assert await ids(first) == ["two", "three"]


async def test_none_is_lost_between_the_first_block_and_the_next(feed: Feed) -> None:
    """What ends while the first block is on its way comes in the second."""
    async with aclosing(feed.watch()) as watch:
        assert await ids(watch) == []
        feed.end("meanwhile")
        assert await ids(watch) == ["meanwhile"]


async def test_the_local_verifier_knows_before_any_watcher(feed: Feed) -> None:
    """A revocation is applied in the same step that publishes it."""
    feed.end("one", "two")
    assert feed.applied == ["one", "two"]


async def test_none_is_told_twice(feed: Feed, clock: ManualClock) -> None:
    """Nor one that is told when its tokens have expired."""
    feed.end("one")
    async with aclosing(feed.watch()) as watch:
        assert await ids(watch) == ["one"]
        feed.end("one", "two")
        feed.end("three", after_s=0)
        assert await ids(watch) == ["two"]
    assert feed.applied == ["one", "two"]


async def test_many_come_in_blocks(feed: Feed) -> None:
    """No message has more than a thousand."""
    feed.end(*map(str, range(BLOCK + 1)))
    async with aclosing(feed.watch()) as watch:
        assert len(await ids(watch)) == BLOCK
        assert len(await ids(watch)) == 1


async def test_a_watcher_that_is_too_slow_is_ended(clock: ManualClock) -> None:
    """Rather than lose one, the watch ends so that the watcher begins anew; others go on."""
    feed = Feed(clock, max_waiting=2)
    async with aclosing(feed.watch()) as slow, aclosing(feed.watch()) as quick:
        await anext(slow)
        await anext(quick)
        for session in ("one", "two", "three"):
            feed.end(session)
            assert await ids(quick) == [session]
        with pytest.raises(MeshError) as ended:
            await anext(slow)
        assert ended.value.reason is IdentityReason.WATCHER_TOO_SLOW
    async with aclosing(feed.watch()) as again:
        assert await ids(again) == ["one", "two", "three"]


async def test_a_watcher_that_leaves_is_forgotten(feed: Feed) -> None:
    """Nothing is kept for a watch that was closed or cancelled."""
    async with aclosing(feed.watch()) as watch:
        await anext(watch)

    async def wait_for_ever() -> None:
        async for _ in feed.watch():
            pass

    task = asyncio.create_task(wait_for_ever())
    await asyncio.sleep(0)
    assert len(feed._watchers) == 1
    task.cancel()
    await asyncio.wait([task])
    assert not feed._watchers


async def test_the_table_forgets_what_is_no_longer_in_force(feed: Feed, clock: ManualClock) -> None:
    """It holds no more than the sessions ended within a token's life."""
    feed.end("old", after_s=10)
    clock.advance(10)
    feed.end("new")
    assert list(feed._in_force) == ["new"]


async def test_a_closed_feed_ends_every_watch(feed: Feed) -> None:
    """A watch that waits ends, and one that begins later does after its first block."""
    async with aclosing(feed.watch()) as watch:
        assert await ids(watch) == []
        waiting = asyncio.ensure_future(anext(watch, None))
        await asyncio.sleep(0)
        feed.close()
        assert await waiting is None
    assert [news.revocations async for news in feed.watch()] == [()]


async def test_a_watch_stands_only_where_all_that_ended_elsewhere_is_known(
    feed: Feed, clock: ManualClock
) -> None:
    """Before the first beat, and long after the last, blocks say that there may be more."""
    async with aclosing(feed.watch()) as watch:
        assert (await anext(watch)).more
        feed.beat(1)
        assert not (await anext(watch)).more
    async with aclosing(feed.watch()) as soon:
        assert not (await anext(soon)).more
    clock.advance(HEARTBEAT_S)
    async with aclosing(feed.watch()) as late:
        assert (await anext(late)).more
        feed.end("one")
        told = await anext(late)
        assert ([one.session_id for one in told.revocations], told.more) == (["one"], True)


async def test_of_many_in_force_only_the_last_block_says_that_it_stands(feed: Feed) -> None:
    """Until then a watcher does not know all of them."""
    feed.beat(1)
    feed.end(*map(str, range(BLOCK + 1)))
    async with aclosing(feed.watch()) as watch:
        assert [(await anext(watch)).more for _ in range(2)] == [True, False]


async def test_watchers_get_a_sign_of_life_when_it_is_time(feed: Feed, clock: ManualClock) -> None:
    """Not with every beat; an empty message is enough."""
    feed.beat(1)
    async with aclosing(feed.watch()) as watch:
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        clock.advance(HEARTBEAT_S - 0.01)
        feed.beat(1)
        await asyncio.sleep(0)
        assert not waiting.done()
        clock.advance(0.01)
        feed.beat(1)
        assert not (await waiting).revocations


async def test_a_new_epoch_is_told_at_once(feed: Feed) -> None:
    """Whenever the last sign of life was."""
    feed.beat(1)
    async with aclosing(feed.watch()) as watch:
        assert (await anext(watch)).epoch == 1
        feed.beat(2)
        assert (await anext(watch)).epoch == 2


def sessions(news: News) -> list[str]:
    return [one.session_id for one in news.revocations]


async def test_who_asks_gets_all_that_ended_behind_his_place(feed: Feed) -> None:
    """In order, and how far that reaches; in the first place everything in force."""
    feed.end("one", "two", "three")
    feed.beat(1, place=3)
    everything, rest = await feed.since(0, 0), await feed.since(2, 1)
    assert (sessions(everything), everything.place) == (["one", "two", "three"], 3)
    assert (sessions(rest), rest.place, rest.epoch, rest.more) == (["three"], 3, 1, False)


async def test_who_knows_everything_waits_for_the_next_sign_of_life(
    feed: Feed, clock: ManualClock
) -> None:
    """Or for what ends meanwhile, once it is known that nothing before it is missing."""
    feed.beat(1, place=0)
    waiting = asyncio.ensure_future(feed.since(0, 1))
    clock.advance(HEARTBEAT_S)
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.beat(1, place=0)
    assert await waiting == News(revocations=[], epoch=1)
    waiting = asyncio.ensure_future(feed.since(0, 1))
    await asyncio.sleep(0)
    feed.end("one")
    feed.beat(1, place=1)
    assert sessions(await waiting) == ["one"]


async def test_who_is_ahead_of_this_process_gets_everything(feed: Feed) -> None:
    """He asked another one before, which knew more, or a database was put back."""
    feed.end("one", "two")
    feed.beat(1, place=2)
    assert sessions(await feed.since(9, 1)) == ["one", "two"]


async def test_many_are_answered_in_blocks(feed: Feed) -> None:
    """Only the last of them says that nothing else has ended."""
    feed.end(*map(str, range(BLOCK + 1)))
    feed.beat(1, place=BLOCK + 1)
    first = await feed.since(0, 0)
    assert (len(first.revocations), first.place, first.more) == (BLOCK, BLOCK, True)
    second = await feed.since(first.place, first.epoch)
    assert (len(second.revocations), second.place, second.more) == (1, BLOCK + 1, False)


async def test_another_epoch_is_answered_at_once(feed: Feed) -> None:
    """Though no session has ended."""
    feed.beat(2, place=0)
    assert (await feed.since(0, 1)).epoch == 2


async def test_a_feed_that_cannot_look_gives_no_sign_of_life(
    feed: Feed, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks is answered in time, and told that there may be more."""
    monkeypatch.setattr(revocations, "WAIT_S", 0.01)
    feed.beat(1, place=0)
    clock.advance(HEARTBEAT_S)
    assert (await feed.since(0, 0)).more


async def test_a_closed_feed_keeps_nobody_waiting(feed: Feed) -> None:
    """A stop is not held up by who asks, and who asks again is sent elsewhere."""
    feed.beat(1, place=0)
    waiting = asyncio.ensure_future(feed.since(0, 1))
    await asyncio.sleep(0)
    feed.close()
    await waiting
    with pytest.raises(MeshError, match="UNAVAILABLE"):
        await feed.since(0, 1)
