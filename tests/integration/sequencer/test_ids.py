"""Which ids a sequence has, and in which order they are granted."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from tests.integration.sequences import (
    GRANTED,
    MAX_ID,
    MIN_ID,
    NAME,
    STRICT,
    Pair,
    create,
    failure,
    get,
    give_back,
    ids,
    lease,
    leases,
    streamed,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


async def test_ranges_never_overlap_under_concurrent_clients(stub: Stub) -> None:
    """A hundred clients at once get a hundred neighbouring ranges."""
    await create(stub, NAME)

    held = await asyncio.gather(
        *(lease(stub, NAME, f"client{number}", number) for number in range(1, 101))
    )

    ranges = sorted((one.first, one.size) for one in held)
    assert ranges[0][0] == 1
    for (first, size), (following, _) in pairwise(ranges):
        assert first + size == following
    assert len({one.lease_number for one in held}) == 100


async def test_two_servers_grant_neighbouring_ranges(pair: Pair) -> None:
    """Whoever is first with a number has it; the other one tries again."""
    await create(pair.one, NAME)

    held = await asyncio.gather(
        *(lease((pair.one, pair.other)[n % 2], NAME, f"c{n}", 3) for n in range(100))
    )

    assert sorted(one.first for one in held) == [1 + 3 * n for n in range(100)]


async def test_a_sequence_ends_exactly_at_its_last_id(stub: Stub) -> None:
    """The very last 64-bit id is granted; after it the sequence is exhausted."""
    await create(stub, "short.one", start=MAX_ID - 9)

    held = await lease(stub, "short.one", "a", 100)
    assert (held.first, held.size) == (MAX_ID - 9, 10)
    exhausted = await failure(lease(stub, "short.one", "a", 1, held))
    assert exhausted.reason == "SEQUENCE_EXHAUSTED"
    assert exhausted.metadata["last"] == str(MAX_ID)
    left = await get(stub, "short.one")
    assert not left.HasField("next_value")
    assert left.remaining == 0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"increment": 10}, [[1, 11, 21], [31, 41]]),
        ({"increment": 10, "start": 5, "max_value": 26}, [[5, 15, 25], []]),
        ({"increment": -1, "max_value": 3}, [[3, 2, 1], []]),
        ({"increment": -3, "start": 0, "min_value": -9}, [[0, -3, -6], [-9]]),
        ({"increment": -1, "min_value": MIN_ID, "start": MIN_ID + 3}, [[MIN_ID + 3], [MIN_ID]]),
        ({"start": -1}, [[-1, 0, 1], [2, 3]]),
        ({"start": 3, "min_value": 1, "max_value": 4, "cycle": True}, [[3, 4], [1, 2]]),
        ({"start": 9, "max_value": 10, "min_value": 7, "cycle": True}, [[9, 10], [7, 8]]),
        (
            {"start": 2, "min_value": 1, "max_value": 3, "increment": -1, "cycle": True},
            [[2, 1], [3, 2]],
        ),
    ],
)
async def test_ids_follow_from_the_settings(
    stub: Stub, settings: dict[str, Any], expected: list[list[int]]
) -> None:
    """Start, ends, increment and cycle: three ids are asked for, then two."""
    await create(stub, NAME, **settings)
    last = None

    for number, (size, wanted) in enumerate(zip((3, 2), expected, strict=True)):
        if not wanted:
            exhausted = await failure(lease(stub, NAME, "a", size, last))
            assert exhausted.reason == "SEQUENCE_EXHAUSTED"
            return
        before = await get(stub, NAME)
        last = await lease(stub, NAME, "a", size, last)
        got = ids(last)
        assert got[0] == before.next_value == wanted[0], number
        assert got[-1] in (wanted[-1], wanted[0] + 2 * last.increment)
        assert set(wanted) <= set(got) or len(got) == len(wanted)


async def test_a_cycle_begins_again_and_never_ends(stub: Stub) -> None:
    """Each range lies within a round; an id leads to its newest round."""
    await create(stub, NAME, min_value=1, max_value=4, start=3, cycle=True)
    taken: list[int] = []
    last = None
    for _ in range(6):
        last = await lease(stub, NAME, "a", 3, last)
        taken += ids(last)
    assert taken == [3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4][: len(taken)]
    assert not (await get(stub, NAME)).HasField("remaining")

    (found,) = await leases(stub, NAME, id=4)
    assert found.lease_number == max(
        one.lease_number for one in await leases(stub, NAME, actions=[GRANTED]) if 4 in ids(one)
    )


async def test_strict_ids_rise_in_the_order_of_time(pair: Pair) -> None:
    """Over two servers: what is asked for after an answer is higher than that."""
    await create(pair.one, NAME, kind=STRICT)
    stubs = (pair.one, pair.other)
    answered: list[tuple[int, int]] = []

    async def take(worker: int) -> None:
        for turn in range(10):
            floor = max((first for first, _ in answered), default=0)
            held = await lease(stubs[(worker + turn) % 2], NAME, f"w{worker}", 1, kind=STRICT)
            assert held.first > floor
            answered.append((held.first, held.lease_number))

    await asyncio.gather(*(take(worker) for worker in range(8)))

    assert sorted(first for first, _ in answered) == list(range(1, 81))
    by_number = sorted(answered, key=lambda one: one[1])
    assert [first for first, _ in by_number] == list(range(1, 81))


async def test_strict_ids_never_come_back(stub: Stub) -> None:
    """A returned range would be lower than what others hold: it stays used."""
    await create(stub, NAME, kind=STRICT)
    held = await lease(stub, NAME, "a", 10)

    assert await give_back(stub, NAME, held, 4) == 0
    assert (await lease(stub, NAME, "b", 1)).first == 11


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        (STRICT, pb.SEQUENCE_KIND_SEGMENT),
        (pb.SEQUENCE_KIND_SEGMENT, STRICT),
        (pb.SEQUENCE_KIND_GAPLESS, pb.SEQUENCE_KIND_UNSPECIFIED),
        (pb.SEQUENCE_KIND_SNOWFLAKE, pb.SEQUENCE_KIND_UNSPECIFIED),
        (pb.SEQUENCE_KIND_GAPLESS, pb.SEQUENCE_KIND_GAPLESS),
    ],
)
async def test_another_kind_than_the_client_counts_on_is_refused(
    stub: Stub, made: pb.SequenceKind.ValueType, asked: pb.SequenceKind.ValueType
) -> None:
    """Ranges are of SEGMENT and STRICT; who states a kind gets that or nothing."""
    await create(stub, NAME, kind=made)

    refused = await failure(lease(stub, NAME, "a", 1, kind=asked))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "KIND_MISMATCH",
    )
    assert refused.metadata["kind"] == pb.SequenceKind.Name(made).removeprefix("SEQUENCE_KIND_")


async def test_many_ids_come_as_a_stream(stub: Stub) -> None:
    """Ranges of the wanted size until all are there, rising; who stops early costs one."""
    await create(stub, NAME)

    ranges = await streamed(stub, NAME, 2_500, range_size=1_000)
    assert [(one.first, one.size) for one in ranges] == [(1, 1_000), (1_001, 1_000), (2_001, 500)]

    request = pb.StreamRangesRequest(name=NAME, client_id="b", count=10**6, range_size=10)
    stream = stub.StreamRanges(request)
    async for answer in stream:
        assert answer.lease.first >= 2_501
        break
    stream.cancel()
    assert (await get(stub, NAME)).next_value < 10**6
