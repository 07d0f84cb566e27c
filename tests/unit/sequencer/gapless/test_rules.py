"""What may be done with a number, by whom, until when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.errors import MeshError
from sequencer.definition import Caller
from sequencer.errors import SequencerReason
from sequencer.gapless.errors import GaplessReason
from sequencer.gapless.numbers import Fate
from tests.unit.sequencer.gapless.desk import Desk, definition


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk(tmp_path) as desk:
        yield desk


async def test_numbers_come_in_their_order(desk: Desk) -> None:
    """Each reservation has the numbers that follow, and a number of its own."""
    first, second = await desk.reserve(3), await desk.reserve(2)

    assert ([*first.numbers], [*second.numbers]) == ([1, 2, 3], [4, 5])
    assert first.reservation < second.reservation
    assert first.token != second.token


async def test_numbers_follow_the_settings_of_the_sequence(tmp_path: Path) -> None:
    """Positions become numbers by start and increment, also downwards."""
    async with Desk(tmp_path, definition(start=100, max_value=100, increment=-10)) as desk:
        held = await desk.reserve(3)
        assert [*held.numbers] == [100, 90, 80]
        assert await desk.confirm(held, [90]) == [90]


async def test_released_numbers_are_reissued_lowest_first(desk: Desk) -> None:
    """What came back goes out before anything new does, whoever had it."""
    one, two = await desk.reserve(3), await desk.reserve(3)
    await desk.release(two, [5])
    await desk.release(one, [1, 3])

    assert [*(await desk.reserve(4)).numbers] == [1, 3, 5, 7]


async def test_confirming_twice_answers_the_same(desk: Desk) -> None:
    """With a request id or without: the answer is that of the first time."""
    held = await desk.reserve(3)

    for request_id in ("", "", "a", "a"):
        assert await desk.confirm(held, request_id=request_id) == [1, 2, 3]


async def test_a_lost_answer_costs_no_number(desk: Desk) -> None:
    """The same request again gets the same reservation, also when the sequence drains by then."""
    first = await desk.reserve(2, request_id="r1")
    desk.definitions.drain()

    assert await desk.reserve(2, request_id="r1") == first
    assert await desk.position() == 2


async def test_an_expired_number_is_reissued(desk: Desk) -> None:
    """A lease that ran out counts as released when the next one asks."""
    await desk.reserve(1, ttl=timedelta(seconds=10))
    desk.clock.advance(9)
    assert [*(await desk.reserve()).numbers] == [2]
    desk.clock.advance(1)

    assert [*(await desk.reserve()).numbers] == [1]


async def test_a_late_confirm_is_accepted_while_nobody_else_has_the_number(desk: Desk) -> None:
    """The lease is a promise to its holder; when nobody was promised the number since, it holds."""
    held = await desk.reserve(2)
    desk.clock.advance(3_600)

    assert await desk.confirm(held) == [1, 2]
    assert [*(await desk.reserve()).numbers] == [3]


async def test_a_late_confirm_never_takes_a_number_from_somebody_else(desk: Desk) -> None:
    """Once reissued a number is its new holder's; the old one is refused, and keeps the rest."""
    late = await desk.reserve(2)
    desk.clock.advance(3_600)
    other = await desk.reserve(1)
    assert [*other.numbers] == [1]

    for numbers in ((), (1, 2), (1,)):
        with pytest.raises(MeshError) as refused:
            await desk.confirm(late, numbers)
        assert refused.value.reason is GaplessReason.NUMBERS_NOT_HELD
    assert await desk.confirm(other) == [1]
    assert await desk.confirm(late, [2]) == [2]


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_a_clock_that_jumps_gives_no_number_to_two(desk: Desk, jump: int) -> None:
    """It may end leases early or late; the token says who holds a number."""
    first = await desk.reserve(2)
    desk.clock.advance(jump)
    second = await desk.reserve(2)
    desk.clock.advance(-jump)
    third = await desk.reserve(2)

    used: list[int] = []
    for held in (first, second, third):
        with suppress(MeshError):
            used += await desk.confirm(held)
    assert len(used) == len(set(used)) >= 4
    assert {run.fate for run in await desk.runs()} == {Fate.CONFIRMED}


async def test_a_confirm_names_all_numbers_or_none_is_confirmed(desk: Desk) -> None:
    """A number of somebody else among them: nothing happens."""
    held, other = await desk.reserve(2), await desk.reserve(1)

    for wrong in (other.numbers[0], 99, -5):
        with pytest.raises(MeshError) as refused:
            await desk.confirm(held, [1, wrong])
        assert refused.value.reason is GaplessReason.NUMBERS_NOT_HELD
    assert {run.fate for run in await desk.runs()} == {Fate.RESERVED}


async def test_a_wrong_token_holds_nothing(desk: Desk) -> None:
    """Who knows the number of a reservation cannot confirm or release it."""
    held = await desk.reserve(1)
    held.token += 1

    with pytest.raises(MeshError) as refused:
        await desk.confirm(held)
    assert refused.value.reason is GaplessReason.NUMBERS_NOT_HELD
    assert await desk.release(held) == []


async def test_a_reservation_is_settled_in_parts(desk: Desk) -> None:
    """Some used, some given back; all the rest is all that is left."""
    held = await desk.reserve(5)
    assert await desk.confirm(held, [2, 4]) == [2, 4]
    assert await desk.release(held, [3]) == [3]

    assert await desk.confirm(held) == [1, 2, 4, 5]
    assert await desk.release(held) == []
    assert [(run.position, run.size, run.fate) for run in await desk.runs()] == [
        (0, 1, Fate.CONFIRMED),
        (1, 1, Fate.CONFIRMED),
        (2, 1, Fate.FREE),
        (3, 1, Fate.CONFIRMED),
        (4, 1, Fate.CONFIRMED),
    ]


async def test_a_confirmed_number_stays_used(desk: Desk) -> None:
    """It can neither be given back nor voided."""
    held = await desk.reserve(2)
    await desk.confirm(held, [1])

    for refused_call in (desk.release(held, [1, 2]), desk.void(1, 2)):
        with pytest.raises(MeshError) as refused:
            await refused_call
        assert refused.value.reason is GaplessReason.NUMBERS_CONFIRMED
    assert await desk.release(held) == [2]


async def test_a_void_number_is_never_issued_again(desk: Desk) -> None:
    """Whoever had it: it is on the list, with the reason of the first time."""
    held = await desk.reserve(4)
    await desk.release(held, [2])
    assert await desk.void(1, 2, reason="form spoiled") == [1, 2]
    assert await desk.void(2, 3, reason="again") == [2, 3]

    with pytest.raises(MeshError) as refused:
        await desk.confirm(held, [1])
    assert refused.value.reason is GaplessReason.NUMBERS_VOID
    desk.clock.advance(3_600)
    assert [*(await desk.reserve(2)).numbers] == [4, 5]
    voids = await desk.gaps.voids(7, after=-1, limit=10)
    assert [(run.position, run.reason, run.holder) for run in voids] == [
        (0, "form spoiled", "ops"),
        (1, "form spoiled", "ops"),
        (2, "again", "ops"),
    ]


async def test_what_was_never_issued_cannot_be_voided(desk: Desk) -> None:
    """There is nothing to account for yet."""
    await desk.reserve(1)

    with pytest.raises(MeshError, match="never issued"):
        await desk.void(1, 2)


async def test_the_last_number_is_issued_and_none_beyond(tmp_path: Path) -> None:
    """At its end a sequence reserves all that was asked for, or nothing."""
    async with Desk(tmp_path, definition(max_value=3)) as desk:
        held = await desk.reserve(2)
        with pytest.raises(MeshError) as refused:
            await desk.reserve(2)
        assert refused.value.reason is SequencerReason.SEQUENCE_EXHAUSTED
        assert await desk.position() == 2

        await desk.release(held, [1])
        assert [*(await desk.reserve(2)).numbers] == [1, 3]


async def test_a_draining_sequence_settles_what_is_out(desk: Desk) -> None:
    """It reserves nothing; confirming, releasing and voiding go on."""
    held = await desk.reserve(3)
    desk.definitions.drain()

    with pytest.raises(MeshError) as refused:
        await desk.reserve(1)
    assert refused.value.reason is SequencerReason.SEQUENCE_CLOSED
    assert await desk.confirm(held, [1]) == [1]
    assert await desk.release(held, [2]) == [2]
    assert await desk.void(3) == [3]


async def test_a_caller_keeps_to_its_quota_of_the_day(tmp_path: Path) -> None:
    """Reserved is taken, given back or not; the next day (UTC) begins anew; others have none."""
    limited = replace(
        definition(), callers=(Caller(name="mesh:loan", daily_quota=3), Caller(name="mesh:shop"))
    )
    async with Desk(tmp_path, limited) as desk:
        await desk.release(await desk.reserve(2))
        with pytest.raises(MeshError) as refused:
            await desk.reserve(2)
        assert refused.value.reason is SequencerReason.QUOTA_EXHAUSTED
        assert await desk.position() == 2
        await desk.reserve(1, holder="mesh:loan/b")

        await desk.reserve(9, holder="mesh:shop/a")
        with pytest.raises(MeshError) as refused:
            await desk.reserve(1, holder="mesh:bank/a")
        assert refused.value.reason is SequencerReason.CALLER_NOT_ALLOWED
        desk.clock.advance(86_400)
        await desk.reserve(3)
