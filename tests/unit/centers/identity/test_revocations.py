"""Who hears of ended sessions, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

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

    def end(self, *sessions: str, after_s: float = 300) -> None:
        expires = self._started + timedelta(seconds=after_s)
        self.publish(Revocation(session_id=session, expires=expires) for session in sessions)


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
