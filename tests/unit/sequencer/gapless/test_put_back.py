"""A store that was put back to an older copy, and who remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.errors import MeshError
from sequencer.errors import SequencerReason
from sequencer.gapless import SqlProgress
from sequencer.gapless.errors import GaplessReason
from sequencer.gapless.numbers import Fate
from sequencer.gapless.report_store import Shown, Span
from tests.unit.sequencer.gapless.desk import Desk, witness


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk(tmp_path) as desk:
        yield desk


async def test_a_server_that_remembers_jumps_over_what_was_lost(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Its journal outlives it: numbers issued since the copy are in doubt, and none is reissued."""
    await desk.confirm(await desk.reserve(2))
    copy = desk.copied()
    await desk.confirm(await desk.reserve(3))
    await desk.put_back(copy)

    assert [*(await desk.reserve(1)).numbers] == [6]
    assert desk.meters.counter("sequencer.gapless.fences").value == 1
    assert "gapless_store_put_back" in caplog.text
    counts = (await desk.gaps.tally(7, Span(), desk.clock.now())).counts
    assert (counts[Shown.CONFIRMED], counts[Shown.LOST_TRACK], counts[Shown.RESERVED]) == (2, 3, 1)


async def test_a_service_that_remembers_is_believed(desk: Desk) -> None:
    """A server that knows nothing learns from the client's newest reservation."""
    copy = desk.copied()
    newest = await desk.reserve(3)
    desk.journal.pages.clear()
    await desk.put_back(copy)

    assert [*(await desk.reserve(1, last=witness(newest))).numbers] == [4]
    assert [(run.size, run.fate) for run in await desk.runs()] == [
        (3, Fate.LOST_TRACK),
        (1, Fate.RESERVED),
    ]


async def test_a_user_cannot_burn_numbers(desk: Desk) -> None:
    """A claim beyond the store by somebody who is not a service changes nothing."""
    made_up = witness(await desk.reserve(1))
    claim = type(made_up)(number=9, mark=1, epoch=0, position=1_000)

    with pytest.raises(MeshError) as refused:
        await desk.reserve(1, last=claim, believed=False)
    assert refused.value.reason is SequencerReason.FENCE_REFUSED
    assert await desk.position() == 1
    with pytest.raises(MeshError, match="not a witness"):
        await desk.reserve(1, last=type(made_up)(number=9, mark=1, epoch=0, position=2**60))


async def test_a_server_goes_by_what_it_knows_itself_whoever_says_the_same(desk: Desk) -> None:
    """A user's witness that the server shares is as good as the server's own."""
    copy = desk.copied()
    newest = await desk.reserve(3)
    await desk.put_back(copy)

    held = await desk.reserve(1, last=witness(newest), believed=False)
    assert [*held.numbers] == [4]


async def test_a_confirmed_number_whose_confirmation_was_lost_is_not_reissued(desk: Desk) -> None:
    """The copy has it reserved: all that was open in the copy is in doubt, not free."""
    held = await desk.reserve(3)
    await desk.release(held, [1])
    copy = desk.copied()
    await desk.confirm(held, [2])
    await desk.put_back(copy)
    desk.clock.advance(3_600)

    assert [*(await desk.reserve(3)).numbers] == [4, 5, 6]
    assert {run.fate for run in await desk.runs()} == {Fate.LOST_TRACK, Fate.RESERVED}


async def test_a_holder_may_settle_what_is_in_doubt_while_its_lease_runs(desk: Desk) -> None:
    """Nobody else can have got it; once the lease is over, somebody may have."""
    held = await desk.reserve(3, ttl=timedelta(seconds=60))
    copy = desk.copied()
    await desk.reserve(1)
    await desk.put_back(copy)
    await desk.reserve(1)

    assert await desk.confirm(held, [1]) == [1]
    assert await desk.release(held, [2]) == []
    desk.clock.advance(60)
    with pytest.raises(MeshError) as refused:
        await desk.confirm(held, [2])
    assert refused.value.reason is GaplessReason.NUMBERS_IN_DOUBT
    assert await desk.void(2, 3) == [2, 3]


async def test_a_refused_call_leaves_the_store_found_out(desk: Desk) -> None:
    """Who confirms what the store has forgotten is refused; what was lost is set aside for all."""
    copy = desk.copied()
    held = await desk.reserve(2)
    desk.journal.pages.clear()
    await desk.put_back(copy)

    with pytest.raises(MeshError) as refused:
        await desk.confirm(held, last=witness(held), request_id="c1")
    assert refused.value.reason is GaplessReason.NUMBERS_NOT_HELD
    assert [*(await desk.reserve(1)).numbers] == [3]


async def test_a_witness_that_comes_too_late_is_noticed(desk: Desk) -> None:
    """Others went on from the copy meanwhile: an alarm, and whatever is open is in doubt."""
    copy = desk.copied()
    lost = await desk.reserve(2)
    desk.journal.pages.clear()
    await desk.put_back(copy)
    for _ in range(5):
        await desk.reserve(1)

    assert [*(await desk.reserve(1, last=witness(lost))).numbers] == [6]
    assert desk.meters.counter("sequencer.gapless.fences").value == 1
    await desk.reserve(1, last=witness(lost))
    assert desk.meters.counter("sequencer.gapless.fences").value == 1


async def test_one_jump_covers_all_who_know_less(desk: Desk) -> None:
    """Witnesses of the lost lineage change nothing any more; one that knows more jumps again."""
    copy = desk.copied()
    lost = [witness(await desk.reserve(1)) for _ in range(4)]
    desk.journal.pages.clear()
    await desk.put_back(copy)

    assert [*(await desk.reserve(1, last=lost[1])).numbers] == [3]
    assert [*(await desk.reserve(1, last=lost[0])).numbers] == [4]
    assert [*(await desk.reserve(1, last=lost[3])).numbers] == [5]
    assert desk.meters.counter("sequencer.gapless.fences").value == 2


async def test_a_store_put_back_twice_is_found_out_twice(desk: Desk) -> None:
    """The epoch that the first jump began is itself remembered."""
    copy = desk.copied()
    for expected in (2, 4):
        await desk.reserve(1)
        await desk.put_back(copy)
        assert [*(await desk.reserve(1)).numbers] == [expected]


async def test_the_other_servers_are_asked_before_numbers_go_out(desk: Desk) -> None:
    """Who finds the store put back need not be the one who had come furthest."""
    copy = desk.copied()
    lost = [witness(await desk.reserve(1)) for _ in range(4)]
    desk.journal.pages.clear()
    desk.peers.known = [lost[2], lost[3], lost[0]]
    await desk.put_back(copy)

    assert [*(await desk.reserve(1, last=lost[1])).numbers] == [5]
    for late in lost:
        await desk.reserve(1, last=late)
    assert desk.meters.counter("sequencer.gapless.fences").value == 1


async def test_the_pace_outlives_a_store_that_is_put_back_meanwhile(desk: Desk) -> None:
    """The head was read before, the runs are gone: no failure, only a guess that is wrong once."""
    await desk.reserve(4)
    only, progress = desk.definitions.only, SqlProgress(desk.store)
    told = await progress.tip(only.uid)
    later = replace(told, position=100)

    now = desk.clock.now()
    pace = await progress.daily_pace(only.uid, later, now=now, create_time=now)

    assert pace > 0
