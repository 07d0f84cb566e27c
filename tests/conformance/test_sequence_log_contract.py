"""What every log of sequences promises, checked on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sequencer import ledger
from sequencer.entry import MAX_TAILS, Action, Entry, Tail, Witness
from sequencer.ledger import Wish
from sequencer.log import EntryFilter, SequenceLog, Superseded, Usage
from tests.conformance.logs import BEGIN, LOGS, LogUnderTest, log_under_test

ABOVE_ALL = 2**63 - 1
ALL = EntryFilter()
APPENDS = 200
BATCH = 64


@pytest.fixture(params=LOGS)
async def one(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LogUnderTest]:
    """Each log in turn."""
    async with log_under_test(request.param, request, tmp_path) as one:
        yield one


async def listed(one: LogUnderTest, only: EntryFilter = ALL) -> list[Entry]:
    """All entries that are wanted, oldest first, without those that are the store's own."""
    found = await one.log.entries(one.uid, before=ABOVE_ALL, limit=1_000, only=only)
    return [entry for entry in reversed(found) if entry.number > one.begin]


async def test_a_sequence_without_a_log_has_no_tip(one: LogUnderTest) -> None:
    """Nothing is found of an identity that is not there."""
    assert await one.log.tip(7) is None
    assert await one.log.entry(7, 0) is None
    assert await one.log.usage(7, BEGIN, BEGIN + timedelta(days=1)) == {}
    assert await one.log.purge(7, BEGIN + timedelta(days=1), ABOVE_ALL) == 0


async def test_entries_come_back_as_they_were(one: LogUnderTest) -> None:
    """Every field of the tip and the entry, at the ends of what they can be."""
    tip = await one.tip()
    tails = tuple(
        Tail(number=2**62 - at, position=2**62 + at * 10, size=5) for at in range(MAX_TAILS)
    )
    largest = replace(
        ledger.changed(tip, "mesh:a/b/c 客户", "注" * 500, one.stamp()),
        tip=replace(
            tip,
            number=tip.number + 1,
            mark=2**63 - 1,
            epoch=2**62,
            position=2**63 - 1,
            fence=2**63 - 1,
            tails=tails,
        ),
        position=2**62,
        size=2**62,
        source=2**62,
        time=BEGIN + timedelta(microseconds=1),
    )
    await one.append(tip, largest)

    assert await one.tip() == largest.tip
    assert await one.log.entry(one.uid, largest.number) == largest
    assert (await listed(one))[-1] == largest


async def test_an_append_follows_the_tip_alone(one: LogUnderTest) -> None:
    """Neither an older entry nor another one of the tip's number; and nothing is kept then."""
    before = await one.tip()
    first = await one.grant()
    for wrong in (before, replace(first.tip, mark=first.tip.mark ^ 1)):
        entry = ledger.changed(wrong, "ops/rpc", "", one.stamp())
        with pytest.raises(Superseded):
            await one.log.append(one.uid, wrong, [entry])
    assert await one.tip() == first.tip
    assert await one.log.entry(one.uid, first.number + 1) is None


async def test_several_entries_are_appended_all_or_none(one: LogUnderTest) -> None:
    """A batch that begins behind an older entry leaves nothing, though its end would be free."""
    tip = await one.tip()
    batch = [ledger.changed(tip, "ops/rpc", "0", one.stamp())]
    for number in range(1, BATCH):
        batch.append(ledger.changed(batch[-1].tip, "ops/rpc", f"{number}", one.stamp()))
    await one.log.append(one.uid, tip, batch)
    assert (await listed(one))[-BATCH:] == batch

    with pytest.raises(Superseded):
        await one.log.append(one.uid, tip, [*batch, _behind(batch[-1])])
    assert await one.tip() == batch[-1].tip


async def test_a_log_that_lost_its_newest_entry_takes_nothing_behind_it(one: LogUnderTest) -> None:
    """As after a restore: neither behind what is lost, nor behind what took its number."""
    await one.grant()
    lost = await one.grant()
    await one.lose()
    following = ledger.changed(lost.tip, "ops/rpc", "", one.stamp())
    with pytest.raises(Superseded):
        await one.log.append(one.uid, lost.tip, [following])
    other = await one.grant(size=3)
    assert other.number == lost.number
    with pytest.raises(Superseded):
        await one.log.append(one.uid, lost.tip, [following])
    assert await one.tip() == other.tip


async def test_concurrent_appenders_get_dense_numbers(one: LogUnderTest) -> None:
    """Two servers append as fast as they can: each number once, each range behind the last."""
    begin = (await one.tip()).number
    async with one.another() as other:
        await asyncio.gather(*(_appending(one, log, APPENDS) for log in (one.log, other)))
    grants = await listed(one, EntryFilter(actions=frozenset({Action.GRANTED})))
    assert [entry.number - begin for entry in grants] == list(range(1, 2 * APPENDS + 1))
    assert [entry.position for entry in grants] == [3 * at for at in range(2 * APPENDS)]
    assert {entry.holder for entry in grants} == {"mesh:shop/0", "mesh:shop/1"}


async def _appending(one: LogUnderTest, log: SequenceLog, count: int) -> None:
    holder = "mesh:shop/0" if log is one.log else "mesh:shop/1"
    wish = Wish(holder=holder, size=3, last=Witness(number=1, mark=1, epoch=0, position=0))
    done = 0
    while done < count:
        tip = await log.tip(one.uid)
        assert tip is not None
        entry = ledger.grant(one.definition, tip, wish, one.stamp())
        try:
            await log.append(one.uid, tip, [entry])
        except Superseded:
            continue
        done += 1


async def test_an_entry_or_the_next_that_is_kept_is_found(one: LogUnderTest) -> None:
    """A number that was forgotten leads to the oldest that is kept; none beyond the tip."""
    first, second, third = [await one.grant() for _ in range(3)]
    assert await one.log.entry(one.uid, second.number) == second
    assert await one.log.purge(one.uid, second.time + timedelta(seconds=1), third.number) >= 2
    assert await one.log.entry(one.uid, first.number) == third
    assert await one.log.entry(one.uid, third.number + 1) is None
    assert await one.log.entry(one.uid, 2**62) is None


async def test_a_return_is_found_by_its_lease(one: LogUnderTest) -> None:
    """Not the grant that was cut from it later, nor another lease's return."""
    first, second = await one.grant(100), await one.grant(100)
    assert await one.log.returned(one.uid, first.number) is None
    back = await one.take_back(first, 40)
    again = await one.grant(20, "mesh:other/9")
    assert again.source == back.number
    assert await one.log.returned(one.uid, first.number) == back
    assert await one.log.returned(one.uid, second.number) is None
    assert await one.log.returned(one.uid, back.number) is None


async def test_what_may_be_lost_is_found_by_its_lease_and_its_ids(one: LogUnderTest) -> None:
    """By itself when nothing came back; it changes nobody's usage."""
    lease = await one.grant(100)
    told = ledger.lost(await one.tip(), lease, 100, 30, one.stamp())
    await one.append(lease.tip, told)

    assert await one.log.returned(one.uid, lease.number) == told
    for offset, entries in ((69, [lease]), (70, [told, lease]), (99, [told, lease])):
        at = lease.position + offset
        assert await one.log.holding(one.uid, at, before=ABOVE_ALL, limit=9) == entries
    assert await listed(one, EntryFilter(actions=frozenset({Action.LOST}))) == [told]
    assert await one.log.usage(one.uid, lease.time, told.time + timedelta(days=1)) == {
        "mesh:shop": Usage(leases=1, granted=100, returned=0)
    }


async def test_an_id_leads_through_returns_and_new_grants(one: LogUnderTest) -> None:
    """Newest first; ranges beside it, before and behind, are not among them; in pages."""
    await one.grant(50)
    lease = await one.grant(100)
    await one.grant(100, "mesh:b/1")
    back = await one.take_back(lease, 40)
    part = await one.grant(20, "mesh:c/1")
    rest = await one.grant(500, "mesh:d/1")

    async def holding(offset: int, before: int = ABOVE_ALL, limit: int = 9) -> list[Entry]:
        at = lease.position + offset
        return list(await one.log.holding(one.uid, at, before=before, limit=limit))

    assert await holding(0) == [lease]
    assert await holding(39) == [lease]
    assert await holding(40) == [part, back, lease]
    assert await holding(59) == [part, back, lease]
    assert await holding(60) == [rest, back, lease]
    assert await holding(60, limit=1) == [rest]
    assert await holding(60, before=rest.number, limit=1) == [back]
    assert await holding(10_000) == []


async def test_an_id_leads_through_a_grant_of_returned_neighbours(one: LogUnderTest) -> None:
    """Also where that grant begins before the ranges that the id was in, which came back whole."""
    first, *others = [await one.grant(10) for _ in range(3)]
    back = [await one.take_back(first, 5)]
    back += [await one.take_back(lease, 0) for lease in others]
    again = await one.grant(20, "mesh:b/1")
    later = await one.take_back(again, 18)

    assert (again.position, again.size) == (first.position + 5, 20)
    for offset, entries in (
        (4, [first]),
        (5, [again, back[0], first]),
        (15, [again, back[1], others[0]]),
        (22, [again, back[2], others[1]]),
        (23, [later, again, back[2], others[1]]),
        (25, [back[2], others[1]]),
    ):
        at = first.position + offset
        assert await one.log.holding(one.uid, at, before=ABOVE_ALL, limit=9) == entries


async def test_an_id_that_was_jumped_over_leads_to_the_fence(one: LogUnderTest) -> None:
    """The entry of the jump holds all that it jumped over."""
    lease = await one.grant(10)
    known = Witness(number=1, mark=1, epoch=0, position=lease.stop + 1_000)
    jump = ledger.fenced(lease.tip, [known], one.stamp(), holder="mesh:sequencer/fence", note="a")
    await one.append(lease.tip, jump)
    behind = await one.grant(10)
    for position, entry in ((lease.position, lease), (lease.stop, jump), (jump.stop - 1, jump)):
        found = await one.log.holding(one.uid, position, before=ABOVE_ALL, limit=9)
        assert list(found) == [entry]
    found = await one.log.holding(one.uid, jump.stop, before=ABOVE_ALL, limit=9)
    assert list(found) == [behind]


async def test_entries_are_found_by_caller_time_and_action(one: LogUnderTest) -> None:
    """Each filter alone and all together; a caller is compared to the letter."""
    first = await one.grant(10, "mesh:shop/1")
    second = await one.grant(10, "mesh:Shop/1")
    back = await one.take_back(first, 4)
    assert await listed(one, EntryFilter(caller="mesh:shop")) == [first, back]
    assert await listed(one, EntryFilter(since=second.time)) == [second, back]
    until = EntryFilter(since=first.time, until=back.time)
    assert await listed(one, until) == [first, second]
    returned = frozenset({Action.RETURNED, Action.FENCED})
    assert await listed(one, EntryFilter(actions=returned)) == [back]
    wanted = EntryFilter(
        caller="mesh:shop", since=first.time, until=back.time, actions=frozenset({Action.GRANTED})
    )
    assert await listed(one, wanted) == [first]


async def test_entries_come_in_pages(one: LogUnderTest) -> None:
    """Newest first, each once."""
    made = [await one.grant(1) for _ in range(7)]
    first = await one.log.entries(one.uid, before=ABOVE_ALL, limit=4, only=ALL)
    rest = await one.log.entries(one.uid, before=first[-1].number, limit=3, only=ALL)
    assert [*first, *rest] == made[::-1]


async def test_usage_sums_up_what_each_caller_took(one: LogUnderTest) -> None:
    """From a moment on and before another; grants, ids and returns, but no jump of the fence."""
    lease = await one.grant(100, "mesh:shop/1")
    await one.grant(7, "mesh:shop/2")
    back = await one.take_back(lease, 40)
    await one.grant(20, "ops/1")
    tip = await one.tip()
    known = Witness(number=1, mark=1, epoch=0, position=tip.position + 5_000)
    jump = ledger.fenced(tip, [known], one.stamp(), holder="mesh:sequencer/fence", note="a")
    await one.append(tip, jump)
    assert await one.log.usage(one.uid, lease.time, jump.time + timedelta(days=1)) == {
        "mesh:shop": Usage(leases=2, granted=107, returned=60),
        "ops": Usage(leases=1, granted=20, returned=0),
    }
    assert await one.log.usage(one.uid, lease.time + timedelta(seconds=1), back.time) == {
        "mesh:shop": Usage(leases=1, granted=7, returned=0)
    }


async def test_old_entries_are_forgotten_but_never_the_tip(one: LogUnderTest) -> None:
    """Until nothing is left to forget; what follows is appended as before."""
    made = [await one.grant(1) for _ in range(20)]
    moment = made[9].time
    while await one.log.purge(one.uid, moment, made[-1].number):
        pass
    assert await listed(one) == made[9:]
    while await one.log.purge(one.uid, BEGIN + timedelta(days=400), made[-1].number):
        pass
    assert await listed(one) == made[-1:]
    assert (await one.grant(1)).position == made[-1].stop


async def test_no_entry_is_forgotten_that_a_kept_one_lies_before(one: LogUnderTest) -> None:
    """Servers' clocks differ: what is older than the one before it waits for that."""
    tip = await one.tip()
    late = replace(
        ledger.changed(tip, "ops/rpc", "late", one.stamp()), time=BEGIN + timedelta(days=9)
    )
    await one.append(tip, late)
    early, newest = await one.grant(), await one.grant()
    while await one.log.purge(one.uid, BEGIN + timedelta(days=1), newest.number):
        pass
    assert [entry.number for entry in await listed(one)] == [
        late.number,
        early.number,
        newest.number,
    ]


def _behind(entry: Entry) -> Entry:
    return replace(entry, tip=replace(entry.tip, number=entry.number + 1))
