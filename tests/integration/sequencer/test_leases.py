"""Who got what when: the log of a sequence, its usage, and how long it lasts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from sequencer.upkeep import ALL_DAYS
from tests.integration.sequences import (
    CREATED,
    GRANTED,
    MORNING,
    NAME,
    RETURNED,
    Pair,
    at,
    create,
    failure,
    get,
    give_back,
    lease,
    leases,
    moment,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


async def test_leases_tell_who_got_which_ids(stub: Stub) -> None:
    """Newest first, with what came back; an id leads to all that happened to it."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    await lease(stub, NAME, "b", 50)
    await give_back(stub, NAME, held, 40)
    again = await lease(stub, NAME, "c", 10)

    listed = await leases(stub, NAME)
    assert [(row.client_id, row.first, row.size, row.action) for row in listed] == [
        ("ops/c", 41, 10, GRANTED),
        ("ops/a", 41, 60, RETURNED),
        ("ops/b", 101, 50, GRANTED),
        ("ops/a", 1, 100, GRANTED),
        ("ops/rpc", 0, 0, CREATED),
    ]
    assert listed[1].source_number == held.lease_number
    assert again.source_number == listed[1].lease_number
    holders = {1: ["ops/a"], 50: ["ops/c", "ops/a", "ops/a"], 100: ["ops/a", "ops/a"]}
    for id_, expected in {**holders, 101: ["ops/b"], 150: ["ops/b"], 151: [], 0: []}.items():
        assert [row.client_id for row in await leases(stub, NAME, id=id_)] == expected


async def test_leases_are_found_by_caller_time_and_action(pair: Pair, mesh: Mesh) -> None:
    """Each alone and together; from a moment on, before another."""
    channel, other = at(mesh, await mesh.start(BLUEPRINT, replica=7), "teller")
    async with channel:
        await create(pair.one, NAME)
        pair.clock.advance(3_600)
        await lease(pair.one, NAME, "a", 1)
        await lease(other, NAME, "a", 1)
    later = moment(MORNING + timedelta(hours=1))

    assert len(await leases(pair.one, NAME, caller="ops")) == 2
    (tellers,) = await leases(pair.one, NAME, caller="teller")
    assert tellers.client_id == "teller/a"
    assert not await leases(pair.one, NAME, caller="tell")
    before = await leases(pair.one, NAME, until_time=later)
    assert [row.action for row in before] == [CREATED]
    assert len(await leases(pair.one, NAME, from_time=later)) == 2
    (wanted,) = await leases(pair.one, NAME, caller="ops", from_time=later, actions=[GRANTED])
    assert wanted.first == 1


async def test_usage_sums_up_what_callers_took(pair: Pair, mesh: Mesh) -> None:
    """The largest first; of the last day unless a time is given."""
    server = await mesh.start(BLUEPRINT, replica=7, clock=pair.clock)
    channel, teller = at(mesh, server, "teller")
    async with channel:
        await create(pair.one, NAME)
        held = await lease(pair.one, NAME, "a", 100)
        await lease(pair.one, NAME, "b", 5)
        await give_back(pair.one, NAME, held, 40)
        await lease(teller, NAME, "a", 200, held)
    expected = [
        pb.Usage(caller="teller", leases=1, granted=200),
        pb.Usage(caller="ops", leases=2, granted=105, returned=60),
    ]

    async def usage(**times: Any) -> list[pb.Usage]:
        return list((await pair.other.GetUsage(pb.GetUsageRequest(name=NAME, **times))).usage)

    pair.clock.advance(1)
    assert await usage() == expected
    pair.clock.advance(86_400)
    assert await usage() == []
    assert await usage(from_time=moment(MORNING)) == expected
    assert await usage(from_time=moment(MORNING), until_time=moment(MORNING)) == []


async def test_the_days_that_ids_last_are_told(pair: Pair) -> None:
    """At the pace of the last week; a young sequence is judged by its age."""
    await create(pair.one, NAME, max_value=1_000)
    pair.clock.advance(86_400)
    held = await lease(pair.one, NAME, "a", 100)
    assert (await get(pair.one, NAME)).days_left == pytest.approx(9.0)
    pair.clock.advance(9 * 86_400)
    assert not (await get(pair.other, NAME)).HasField("days_left")
    await lease(pair.other, NAME, "a", 200, held)
    assert (await get(pair.one, NAME)).days_left == pytest.approx(700 / 200 * 7)


async def test_the_shortest_of_them_is_measured(stub: Stub, telemetry: Telemetry) -> None:
    """A gauge that is there from the beginning, when nothing ends yet."""
    await create(stub, NAME)

    assert telemetry.meters.gauges["sequencer.min_days_left"]() == ALL_DAYS


async def test_lists_come_in_pages(stub: Stub) -> None:
    """Following the tokens shows every sequence and every entry once, in order."""
    names = [f"paged.s{number:02}" for number in range(12)]
    for name in reversed(names):
        await create(stub, name)
    for number in range(12):
        await lease(stub, names[0], f"client{number}", 1)

    sequences: list[str] = []
    numbers: list[int] = []
    page = pb.ListSequencesRequest(page_size=5)
    while True:
        found = await stub.ListSequences(page)
        sequences += [sequence.name for sequence in found.sequences]
        if not found.next_page_token:
            break
        page.page_token = found.next_page_token
    of = pb.ListLeasesRequest(name=names[0], page_size=5)
    while True:
        answer = await stub.ListLeases(of)
        numbers += [row.lease_number for row in answer.leases]
        if not answer.next_page_token:
            break
        of.page_token = answer.next_page_token

    assert sequences == names
    assert numbers == list(range(13, 0, -1))


async def test_foreign_page_tokens_are_refused(stub: Stub) -> None:
    """A token goes on with the list that it came from, and no other."""
    for name in ("a.a", "a.b"):
        await create(stub, name)
        for client in ("a", "b"):
            await lease(stub, name, client, 1)
    paged = pb.ListLeasesRequest(name="a.a", page_size=1)
    mark = (await stub.ListLeases(paged)).next_page_token

    for call in (
        leases(stub, "a.b", page_token=mark),
        leases(stub, "a.a", id=1, page_token=mark),
        leases(stub, "a.a", caller="ops", page_token=mark),
        stub.ListSequences(pb.ListSequencesRequest(page_token=mark)),
        stub.ListSequences(pb.ListSequencesRequest(page_token="nonsense")),
    ):
        assert (await failure(call)).reason == "PAGE_TOKEN_INVALID"
