"""The sequencer over real sockets and the real chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh import contract
from mesh.clock import ManualClock
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from sequencer.upkeep import ALL_DAYS
from tests.integration.sequences import (
    RIGHTS,
    at,
    create,
    failure,
    get,
    give_back,
    ids,
    lease,
    leases,
    set_state,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

MAX_ID = 2**63 - 1
MIN_ID = -(2**63)
NAME = "shop.order"
MORNING = datetime(2026, 1, 5, 9, tzinfo=UTC)
GRANTED, RETURNED = pb.LEASE_ACTION_GRANTED, pb.LEASE_ACTION_RETURNED
CREATED, FENCED = pb.LEASE_ACTION_CREATED, pb.LEASE_ACTION_FENCED
CHANGED = pb.LEASE_ACTION_CHANGED
STRICT = pb.SEQUENCE_KIND_STRICT
ACTIVE, DRAINING = pb.SEQUENCE_STATE_ACTIVE, pb.SEQUENCE_STATE_DRAINING
RETIRED = pb.SEQUENCE_STATE_RETIRED


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
async def stub(mesh: Mesh, telemetry: Telemetry) -> Stub:
    """The service, called by a user who may do everything; two services may as well."""
    mesh.trust("shop", RIGHTS)
    mesh.trust("gateway", RIGHTS)
    await mesh.start(BLUEPRINT, telemetry=telemetry)
    return SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))


@dataclass(slots=True)
class Pair:
    """Two servers on one store, and the clock of both."""

    clock: ManualClock
    one: Stub
    other: Stub


@pytest.fixture
async def pair(mesh: Mesh) -> AsyncIterator[Pair]:
    """Two servers, each with its own memory of sequences."""
    clock = ManualClock(MORNING)
    servers = [await mesh.start(BLUEPRINT, clock=clock, replica=place) for place in (8, 9)]
    (first, one), (second, other) = (at(mesh, server) for server in servers)
    async with first, second:
        yield Pair(clock, one, other)


def token(mesh: Mesh, subject: str = "ops") -> str:
    return mesh.token(subject, permissions=RIGHTS)


def user(mesh: Mesh, subject: str) -> Stub:
    return SequencerServiceStub(mesh.channel("sequencer", token=token(mesh, subject)))


def moment(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


# making sequences


async def test_a_created_sequence_can_be_read(stub: Stub) -> None:
    """Defaults are filled in, and reading shows what creating answered."""
    made = await create(stub, NAME)

    assert (made.start, made.min_value, made.max_value, made.next_value) == (1, 1, MAX_ID, 1)
    assert (made.increment, made.cycle, made.kind) == (1, False, pb.SEQUENCE_KIND_SEGMENT)
    assert (made.state, made.epoch, made.lease_number, made.etag) == (ACTIVE, 0, 1, "1")
    assert (made.retention_days, made.remaining, made.returned) == (400, MAX_ID, 0)
    assert made.create_time.seconds
    assert not made.HasField("days_left")
    assert await get(stub, NAME) == made


async def test_creating_again_is_idempotent(stub: Stub) -> None:
    """The same settings answer the sequence as it stands; other settings are refused."""
    await create(stub, NAME, start=10)
    held = await lease(stub, NAME, "a", 5)

    again = await create(stub, NAME, start=10, max_value=MAX_ID)
    assert again.next_value == held.first + 5

    for other in ({"start": 11}, {"start": 10, "increment": 2}, {"start": 10, "kind": STRICT}):
        refused = await failure(create(stub, NAME, **other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SEQUENCE_EXISTS")
        assert refused.metadata["sequence"] == NAME


async def test_creating_at_once_is_idempotent(pair: Pair) -> None:
    """Calls that meet on two servers all get the one sequence."""
    made = await asyncio.gather(
        *(create(stub, NAME, start=5) for stub in (pair.one, pair.other) * 10)
    )

    assert {(one.start, one.lease_number) for one in made} == {(5, 1)}


@pytest.mark.parametrize(
    "name", ["", "Order", "1order", "order-x", "order.", "order..x", "订单", "x" * 101, "a@2026"]
)
async def test_bad_names_are_refused(stub: Stub, name: str) -> None:
    """Names are lower-case words joined by dots."""
    refused = await failure(create(stub, name))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.violations[0].field == "sequence.name"


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("sequence.start", {"start": 2, "max_value": 1}),
        ("sequence.start", {"start": 5, "min_value": 10}),
        ("sequence.start", {"min_value": 10, "max_value": 9}),
        ("sequence.increment", {"increment": 1_000_000_001}),
        ("sequence.cycle", {"cycle": True, "kind": STRICT}),
        ("sequence.layout", {"layout": pb.SnowflakeLayout(time_bits=40)}),
        ("sequence.kind", {"kind": 9}),
        ("sequence.retention_days", {"retention_days": -1}),
        ("sequence.callers[0].name", {"callers": [pb.Caller(name="")]}),
        ("sequence.callers[0].daily_quota", {"callers": [pb.Caller(name="a", daily_quota=-1)]}),
    ],
)
async def test_bad_settings_are_refused(stub: Stub, field: str, settings: dict[str, Any]) -> None:
    """Each with the field that is wrong, and nothing is made."""
    refused = await failure(create(stub, NAME, **settings))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
    )
    assert field in {violation.field for violation in refused.violations}
    assert (await failure(get(stub, NAME))).reason == "SEQUENCE_NOT_FOUND"


BAD_INPUT: list[tuple[str, str, Any]] = [
    ("last.number", "LeaseRange", {"last": pb.Witness(number=-1)}),
    ("last.mark", "LeaseRange", {"last": pb.Witness(mark=-1)}),
    ("last.epoch", "LeaseRange", {"last": pb.Witness(epoch=-1)}),
    ("last.position", "LeaseRange", {"last": pb.Witness(position=-1)}),
    ("last", "LeaseRange", {"last": pb.Witness(number=2**62 + 1)}),
    ("kind", "LeaseRange", {"kind": 9}),
    ("client_id", "LeaseRange", {"client_id": ""}),
    ("client_id", "LeaseRange", {"client_id": "x" * 101}),
    ("size", "LeaseRange", {"size": -1}),
    ("size", "LeaseRange", {"size": 0}),
    ("size", "LeaseRange", {"size": 2**32 + 1}),
    ("client_id", "ReturnRange", {"client_id": ""}),
    ("lease_number", "ReturnRange", {"lease_number": 0}),
    ("mark", "ReturnRange", {"mark": -1}),
    ("used", "ReturnRange", {"used": -1}),
    ("page_size", "ListLeases", {"page_size": 1_001}),
    ("actions[0]", "ListLeases", {"actions": [99]}),
    ("from_time", "ListLeases", {"from_time": Timestamp(seconds=2**60)}),
    ("until_time", "GetUsage", {"until_time": Timestamp(seconds=2**60)}),
    ("state", "SetSequenceState", {"state": 0}),
    ("state", "SetSequenceState", {"state": 9}),
    ("new_name", "RenameSequence", {"new_name": "Not a name"}),
    ("name", "GetSequence", {"name": "x" * 111}),
    ("name", "LeaseRange", {"name": f"{NAME}@20261301"}),
    ("name", "LeaseRange", {"name": f"{NAME}@today"}),
]
USUAL: dict[str, dict[str, Any]] = {
    "LeaseRange": {"name": NAME, "client_id": "a", "size": 1},
    "ReturnRange": {"name": NAME, "client_id": "a", "lease_number": 1, "mark": 1, "used": 1},
}


@pytest.mark.parametrize(("field", "method", "values"), BAD_INPUT)
async def test_bad_input_is_refused(
    stub: Stub, field: str, method: str, values: dict[str, Any]
) -> None:
    """Each with the field that is wrong, and nothing happens."""
    await create(stub, NAME)
    usual = USUAL.get(method, {"name": NAME})
    request = getattr(pb, f"{method}Request")(**{**usual, **values})

    refused = await failure(getattr(stub, method)(request))

    assert refused.reason == "INVALID_ARGUMENT"
    assert field in {violation.field for violation in refused.violations}
    assert (await get(stub, NAME)).lease_number == 1


async def test_an_unknown_sequence_is_not_found_by_any_method(stub: Stub) -> None:
    """Each method says which sequence is missing, in two languages and with a next step."""
    name = "no.such"
    held = pb.Lease(lease_number=1, client_id="ops/a", witness=pb.Witness(mark=1))
    update = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=name, retention_days=7))
    rename = pb.RenameSequenceRequest(name=name, new_name="other.name")
    calls: list[Awaitable[Any]] = [
        get(stub, name),
        leases(stub, name),
        leases(stub, name, id=5),
        lease(stub, name, "a", 1),
        give_back(stub, name, held, 1),
        set_state(stub, name, DRAINING),
        stub.GetUsage(pb.GetUsageRequest(name=name)),
        stub.FenceSequence(pb.FenceSequenceRequest(name=name, at_least=5)),
        stub.UpdateSequence(update),
        stub.RenameSequence(rename),
    ]

    for call in calls:
        missing = await failure(call)
        assert (missing.code, missing.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "SEQUENCE_NOT_FOUND",
        )
        assert missing.metadata["sequence"] == name
        assert "engine seq create" in missing.next_step
        assert missing.titles["zh-CN"] == "序列不存在"


# who may do what


@pytest.mark.parametrize("permission", sorted(RIGHTS))
async def test_each_method_needs_its_right(mesh: Mesh, permission: str) -> None:
    """A caller with one right may do one kind of thing."""
    await mesh.start(BLUEPRINT)
    narrow = mesh.token("ops", permissions={permission})
    stub = SequencerServiceStub(mesh.channel("sequencer", token=narrow))
    wanted = pb.Sequence(name="a.b")
    held = pb.Lease(lease_number=1, client_id="ops/a")
    calls: dict[str, list[Awaitable[Any]]] = {
        "sequencer.create": [
            create(stub, "a.b"),
            stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=wanted)),
        ],
        "sequencer.read": [
            get(stub, "a.b"),
            stub.ListSequences(pb.ListSequencesRequest()),
            leases(stub, "a.b"),
            stub.GetUsage(pb.GetUsageRequest(name="a.b")),
        ],
        "sequencer.lease": [
            lease(stub, "a.b", "a", 1),
            give_back(stub, "a.b", held, 1),
            _streamed(stub, "a.b", 1),
        ],
        "sequencer.operate": [
            stub.RenameSequence(pb.RenameSequenceRequest(name="a.b", new_name="a.c")),
            set_state(stub, "a.b", DRAINING),
            stub.FenceSequence(pb.FenceSequenceRequest(name="a.b", at_least=1)),
        ],
        "sequencer.witness": [stub.GetWitness(pb.GetWitnessRequest(name="a.b"))],
    }

    for needed, group in calls.items():
        for call in group:
            try:
                await call
                allowed = True
            except grpc.aio.AioRpcError as error:
                allowed = error.code() is not grpc.StatusCode.PERMISSION_DENIED
            assert allowed == (needed == permission)


def test_what_changes_a_sequence_for_all_is_audited() -> None:
    """Takes of ids are not: the log of the sequence is their audit."""
    service = pb.DESCRIPTOR.services_by_name["SequencerService"]
    methods = [contract.method(descriptor) for descriptor in service.methods]

    audited = {method.name for method in methods if method.policy.audited}

    assert audited == {
        "CreateSequence",
        "UpdateSequence",
        "RenameSequence",
        "SetSequenceState",
        "FenceSequence",
    }


async def test_only_named_callers_take_ids(stub: Stub, mesh: Mesh) -> None:
    """A user or a service; who is not named is told whom to ask, and may be added."""
    made = await create(stub, NAME, callers=[pb.Caller(name="ops")])
    shop = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    assert (await lease(stub, NAME, "a", 1)).first == 1

    refused = await failure(lease(shop, NAME, "a", 1))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "CALLER_NOT_ALLOWED",
    )
    assert refused.metadata["caller"] == "mesh:shop"

    made.callers.add(name="mesh:shop")
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=made))
    assert (await lease(shop, NAME, "a", 1)).first == 2


async def test_a_caller_takes_no_more_than_its_quota_a_day(pair: Pair) -> None:
    """Counted exactly over two servers; returned ids may be taken again; a new day is new."""
    await create(pair.one, NAME, callers=[pb.Caller(name="ops", daily_quota=100)])
    first = await lease(pair.one, NAME, "a", 60)
    last = await lease(pair.other, NAME, "b", 30)

    for stub in (pair.one, pair.other):
        refused = await failure(lease(stub, NAME, "a", 11, first))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "QUOTA_EXHAUSTED",
        )
        assert refused.metadata == {"caller": "ops", "daily_quota": "100"}
    assert await give_back(pair.one, NAME, last, 10) == 20
    assert (await lease(pair.other, NAME, "a", 30, first)).size == 30
    assert (await failure(lease(pair.one, NAME, "a", 1, first))).reason == "QUOTA_EXHAUSTED"

    pair.clock.advance(15 * 3_600 - 1)
    assert (await failure(lease(pair.one, NAME, "a", 1, first))).reason == "QUOTA_EXHAUSTED"
    pair.clock.advance(1)
    assert (await lease(pair.one, NAME, "a", 100, first)).size == 100
    assert (await failure(lease(pair.other, NAME, "a", 1, first))).reason == "QUOTA_EXHAUSTED"


async def test_a_quota_is_exact_though_all_ask_at_once(pair: Pair) -> None:
    """Of twenty wishes that do not all fit two servers grant as many as do."""
    await create(pair.one, NAME, callers=[pb.Caller(name="ops", daily_quota=95)])
    await lease(pair.one, NAME, "warm", 5)
    await lease(pair.other, NAME, "warm", 10)

    done = await asyncio.gather(
        *(
            lease(stub, NAME, f"c{number}", 10)
            for number in range(10)
            for stub in (pair.one, pair.other)
        ),
        return_exceptions=True,
    )

    assert sum(held.size for held in done if isinstance(held, pb.Lease)) == 80


# which ids there are


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

    ranges = await _streamed(stub, NAME, 2_500, range_size=1_000)
    assert [(one.first, one.size) for one in ranges] == [(1, 1_000), (1_001, 1_000), (2_001, 500)]

    request = pb.StreamRangesRequest(name=NAME, client_id="b", count=10**6, range_size=10)
    stream = stub.StreamRanges(request)
    async for answer in stream:
        assert answer.lease.first >= 2_501
        break
    stream.cancel()
    assert (await get(stub, NAME)).next_value < 10**6


async def _streamed(stub: Stub, name: str, count: int, **more: Any) -> list[pb.Lease]:
    request = pb.StreamRangesRequest(name=name, client_id="a", count=count, **more)
    return [answer.lease async for answer in stub.StreamRanges(request)]


# returned ranges


async def test_a_returned_tail_goes_to_a_new_client_alone(stub: Stub) -> None:
    """A client that holds higher ids never goes back; a new one starts with the tail."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    assert await give_back(stub, NAME, held, 40) == 60
    assert (await get(stub, NAME)).returned == 60

    assert (await lease(stub, NAME, "a", 10, held)).first == 101
    part = await lease(stub, NAME, "b", 20)
    assert (part.first, part.size) == (41, 20)
    rest = await lease(stub, NAME, "c", 1_000)
    assert (rest.first, rest.size) == (61, 40)
    assert held.lease_number < part.lease_number < rest.lease_number
    assert (await lease(stub, NAME, "d", 5)).first == 111


async def test_returning_twice_changes_nothing(stub: Stub) -> None:
    """A repeated return answers 0, also when the tail has gone to somebody else."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    assert await give_back(stub, NAME, held, 40) == 60
    assert await give_back(stub, NAME, held, 40) == 0
    await lease(stub, NAME, "b", 60)

    assert await give_back(stub, NAME, held, 40) == 0
    assert (await lease(stub, NAME, "c", 1)).first == 101


async def test_only_the_holder_returns_a_lease(stub: Stub) -> None:
    """Another client's lease, one that never was, and one of another mark are not found."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    number, mark = held.lease_number, held.witness.mark
    foreign = pb.Lease(lease_number=number, client_id="ops/b", witness=pb.Witness(mark=mark))
    unknown = pb.Lease(lease_number=99, client_id="ops/a", witness=pb.Witness(mark=mark))
    other = pb.Lease(lease_number=number, client_id="ops/a", witness=pb.Witness(mark=mark ^ 1))
    created = pb.Lease(lease_number=1, client_id="ops/rpc", witness=pb.Witness(mark=mark))

    for claimed in (foreign, unknown, other, created):
        missing = await failure(give_back(stub, NAME, claimed, 50))
        assert missing.reason == "LEASE_NOT_FOUND"
    outside = await failure(give_back(stub, NAME, held, 101))
    assert outside.violations[0].field == "used"


async def test_a_lease_cannot_be_returned_under_its_client_id_by_another(
    stub: Stub, mesh: Mesh
) -> None:
    """A client id is a name within its caller: a service or user with it holds nothing of it."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    assert held.client_id == "ops/a"

    for channel in (
        mesh.channel("sequencer", token=token(mesh, "thief")),
        mesh.channel("sequencer", caller="shop"),
    ):
        thief = SequencerServiceStub(channel)
        for number, client in ((held.lease_number, "a"), (held.lease_number, "ops/a"), (99, "a")):
            claimed = pb.ReturnRangeRequest(
                name=NAME, client_id=client, lease_number=number, mark=held.witness.mark
            )
            missing = await failure(thief.ReturnRange(claimed))
            assert (missing.reason, missing.message, missing.metadata) == (
                "LEASE_NOT_FOUND",
                "The client holds no such lease",
                {},
            )
    assert (await lease(stub, NAME, "b", 1)).first == 101
    assert await give_back(stub, NAME, held, 40) == 60


# the fence


async def test_a_service_that_knows_more_than_the_store_is_believed(
    stub: Stub, mesh: Mesh, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A store restored from an old copy is jumped over, and an alarm is raised."""
    service = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    await create(stub, NAME)
    await lease(stub, NAME, "a", 100)

    lost = pb.Lease(witness=pb.Witness(number=7, mark=5, epoch=0, position=5_000))
    held = await lease(service, NAME, "b", 10, lost)

    assert (held.first, held.witness.epoch) == (5_001, 1)
    assert (await lease(stub, NAME, "c", 10)).first == 5_011
    assert telemetry.meters.counter("sequencer.fence_jumps").value == 1
    assert "sequence_fenced" in caplog.text
    (jump,) = await leases(stub, NAME, actions=[FENCED])
    assert (jump.first, jump.size) == (101, 4_900)
    assert jump.client_id == "mesh:sequencer/fence"
    assert jump.note == "witness mesh:shop/b: entry 7 of epoch 0"
    assert (await lease(service, NAME, "b", 10, lost)).first == 5_021, "it is jumped over once"


@pytest.mark.parametrize(
    "claim",
    [
        pb.Witness(number=1, mark=5, position=MAX_ID),
        pb.Witness(number=1, mark=5, position=101),
        pb.Witness(number=2, mark=5, position=100),
        pb.Witness(number=9, mark=5, position=0),
    ],
)
@pytest.mark.parametrize("through", ["", "gateway"])
async def test_a_user_cannot_burn_a_sequence(
    stub: Stub, mesh: Mesh, claim: pb.Witness, through: str, telemetry: Telemetry
) -> None:
    """What a user says to hold that was never granted is refused, and changes nothing."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    here = SequencerServiceStub(mesh.channel("sequencer", token=token(mesh), caller=through))

    refused = await failure(lease(here, NAME, "a", 1, pb.Lease(witness=claim)))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "FENCE_REFUSED",
    )
    assert refused.next_step
    assert refused.titles["zh-CN"] == "声称的号段超出已发放范围"
    assert telemetry.meters.counter("sequencer.fence_jumps").value == 0
    assert (await lease(here, NAME, "a", 1, held)).first == 101


async def test_a_claim_beyond_the_sequence_is_refused(stub: Stub, mesh: Mesh) -> None:
    """Nobody can end a sequence by claiming an id that it does not have."""
    service = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    await create(stub, NAME, max_value=1_000)

    beyond = pb.Lease(witness=pb.Witness(number=1, mark=1, position=1_001))
    refused = await failure(lease(service, NAME, "a", 1, beyond))
    assert refused.violations[0].field == "last.position"


async def test_an_operator_moves_the_fence(pair: Pair) -> None:
    """To behind an id, once; who holds ids from before sees a higher epoch; servers agree."""
    await create(pair.one, NAME, start=10, increment=10)
    held = await lease(pair.other, NAME, "a", 5)
    assert await give_back(pair.other, NAME, held, 2) == 3

    for _ in range(2):
        request = pb.FenceSequenceRequest(name=NAME, at_least=101)
        moved = (await pair.one.FenceSequence(request)).sequence
        assert (moved.next_value, moved.epoch, moved.returned) == (110, 1, 0)
    fresh = await lease(pair.other, NAME, "b", 1)
    assert (fresh.first, fresh.witness.epoch) == (110, 1)
    (jump,) = await leases(pair.one, NAME, actions=[FENCED])
    assert (jump.client_id, jump.note) == ("ops/rpc", "operator: at least 101")


async def test_ids_below_an_operators_fence_do_not_come_back(stub: Stub) -> None:
    """Also when more had been granted by then: what he names may have been used."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    other = await lease(stub, NAME, "b", 100)
    await give_back(stub, NAME, held, 10)

    await stub.FenceSequence(pb.FenceSequenceRequest(name=NAME, at_least=50))

    assert (await lease(stub, NAME, "c", 1)).first == 201
    assert await give_back(stub, NAME, other, 10) == 0


@pytest.mark.parametrize(
    ("settings", "at_least", "field"),
    [
        ({"max_value": 100}, 101, "at_least"),
        ({"increment": -1, "max_value": 100}, 0, "at_least"),
        ({"cycle": True, "max_value": 100}, 5, "name"),
        ({"kind": pb.SEQUENCE_KIND_GAPLESS}, 5, "name"),
    ],
)
async def test_a_fence_that_cannot_be_is_refused(
    stub: Stub, settings: dict[str, Any], at_least: int, field: str
) -> None:
    """Beyond the last id, and where ids have no order or another service counts."""
    await create(stub, NAME, **settings)

    request = pb.FenceSequenceRequest(name=NAME, at_least=at_least)
    refused = await failure(stub.FenceSequence(request))

    assert refused.violations[0].field == field


async def test_a_server_tells_what_it_has_seen(stub: Stub) -> None:
    """The witness of its newest entry, none of a sequence that it has not."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)

    answer = await stub.GetWitness(pb.GetWitnessRequest(name=NAME))
    assert answer.witness == held.witness
    assert not (await stub.GetWitness(pb.GetWitnessRequest(name="no.such"))).HasField("witness")


# who got what


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


# changing sequences


async def test_settings_change_under_an_etag(stub: Stub) -> None:
    """What the mask names, once; who read it earlier is told to read it again."""
    made = await create(stub, NAME, callers=[pb.Caller(name="ops", daily_quota=5)])
    made.retention_days, made.callers[0].daily_quota = 30, 7
    update = pb.UpdateSequenceRequest(sequence=made)
    update.update_mask.paths.append("retention_days")

    changed = (await stub.UpdateSequence(update)).sequence
    assert (changed.retention_days, changed.callers[0].daily_quota) == (30, 5)
    assert changed.etag != made.etag

    stale = await failure(stub.UpdateSequence(update))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "SEQUENCE_CHANGED")
    unguarded = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME, retention_days=9))
    assert not (await stub.UpdateSequence(unguarded)).sequence.callers
    newest = (await leases(stub, NAME, actions=[CHANGED]))[0]
    assert (newest.client_id, newest.note) == ("ops/rpc", "settings")


@pytest.mark.parametrize(
    ("field", "etag", "path"),
    [
        ("update_mask", "", "start"),
        ("update_mask", "", "no_such_field"),
        ("sequence.etag", "soon", "callers"),
        ("sequence.etag", "1" * 41, "callers"),
    ],
)
async def test_what_makes_an_id_cannot_change(stub: Stub, field: str, etag: str, path: str) -> None:
    """Nor is a mask or an etag taken that this service does not know."""
    await create(stub, NAME)
    update = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME, etag=etag))
    update.update_mask.paths.append(path)

    assert (await failure(stub.UpdateSequence(update))).violations[0].field == field


async def test_a_change_is_heeded_by_every_server(pair: Pair) -> None:
    """Whatever the other one had in hand: at its next grant, or refusal, it knows."""
    made = await create(pair.one, NAME)
    for stub in (pair.one, pair.other):
        await lease(stub, NAME, "warm", 1)

    made.callers.add(name="nobody")
    await pair.one.UpdateSequence(pb.UpdateSequenceRequest(sequence=made))
    assert (await failure(lease(pair.other, NAME, "a", 1))).reason == "CALLER_NOT_ALLOWED"

    opened = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME))
    await pair.one.UpdateSequence(opened)
    assert (await lease(pair.other, NAME, "a", 1)).first == 3
    await set_state(pair.other, NAME, DRAINING)
    assert (await failure(lease(pair.one, NAME, "a", 1))).reason == "SEQUENCE_CLOSED"
    await set_state(pair.other, NAME, ACTIVE)
    assert (await lease(pair.one, NAME, "a", 1)).first == 4


async def test_a_renamed_sequence_goes_on_under_both_names(pair: Pair) -> None:
    """On every server; the old name is not free, and once more changes nothing."""
    await create(pair.one, NAME)
    held = await lease(pair.other, NAME, "a", 10)
    rename = pb.RenameSequenceRequest(name=NAME, new_name="shop.sale")
    for _ in range(2):
        renamed = (await pair.one.RenameSequence(rename)).sequence
        assert renamed.name == "shop.sale"

    assert (await lease(pair.other, NAME, "a", 10, held)).first == 11
    assert (await lease(pair.other, "shop.sale", "b", 10)).first == 21
    assert (await get(pair.one, NAME)).name == "shop.sale"
    assert (await failure(create(pair.one, NAME))).reason == "SEQUENCE_EXISTS"
    listed = await pair.one.ListSequences(pb.ListSequencesRequest())
    assert [sequence.name for sequence in listed.sequences] == ["shop.sale"]
    assert (await leases(pair.one, NAME, actions=[CHANGED]))[0].note == f"renamed from {NAME}"


@pytest.mark.parametrize("taken", ["other.one", "other.before"])
async def test_a_name_that_another_has_or_had_is_refused(stub: Stub, taken: str) -> None:
    """A sequence keeps the name that it has then."""
    await create(stub, NAME)
    await create(stub, "other.before")
    await stub.RenameSequence(pb.RenameSequenceRequest(name="other.before", new_name="other.one"))

    refused = await failure(
        stub.RenameSequence(pb.RenameSequenceRequest(name=NAME, new_name=taken))
    )

    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN")
    assert (await get(stub, NAME)).etag == "1"


async def test_a_sequence_drains_before_it_retires(stub: Stub) -> None:
    """Draining grants nothing and takes back; it can be undone; retirement cannot."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 10)
    early = await failure(set_state(stub, NAME, RETIRED))
    assert (early.reason, early.metadata) == (
        "STATE_REFUSED",
        {"from": "ACTIVE", "to": "RETIRED"},
    )

    for _ in range(2):
        assert (await set_state(stub, NAME, DRAINING)).state == DRAINING
    closed = await failure(lease(stub, NAME, "b", 1))
    assert (closed.code, closed.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SEQUENCE_CLOSED",
    )
    assert closed.metadata["state"] == "DRAINING"
    assert await give_back(stub, NAME, held, 5) == 5
    await set_state(stub, NAME, ACTIVE)
    assert (await lease(stub, NAME, "b", 1)).first == 6

    await set_state(stub, NAME, DRAINING)
    await set_state(stub, NAME, RETIRED)
    assert (await failure(lease(stub, NAME, "b", 1))).reason == "SEQUENCE_CLOSED"
    for state in (ACTIVE, DRAINING):
        assert (await failure(set_state(stub, NAME, state))).reason == "STATE_REFUSED"
    assert [row.client_id for row in await leases(stub, NAME, id=1)] == ["ops/a"]


# periods of serials


@pytest.mark.parametrize(
    ("reset", "period", "others"),
    [
        (pb.SERIAL_RESET_DAY, "20261126", ["2026", "202611"]),
        (pb.SERIAL_RESET_MONTH, "202611", ["2026", "20261126"]),
        (pb.SERIAL_RESET_YEAR, "2026", ["202611", "20261126"]),
        (pb.SERIAL_RESET_UNSPECIFIED, "", ["2026", "202611", "20261126"]),
    ],
)
async def test_each_period_of_a_serial_counts_from_its_start(
    stub: Stub, reset: pb.SerialReset.ValueType, period: str, others: list[str]
) -> None:
    """It is made at its first use, by nothing else, and only in the parent's rhythm."""
    await _serial(stub, reset)
    if period:
        child = f"{NAME}@{period}"
        assert (await failure(get(stub, child))).reason == "SEQUENCE_NOT_FOUND"
        assert (await lease(stub, child, "a", 10)).first == 1
        assert (await lease(stub, NAME, "a", 1)).first == 1
        assert (await get(stub, child)).next_value == 11
    for other in others:
        refused = await failure(lease(stub, f"{NAME}@{other}", "a", 1))
        assert refused.reason == "SEQUENCE_NOT_FOUND"


async def test_two_servers_make_a_period_once(pair: Pair) -> None:
    """Both asked at once for a day that is new."""
    await _serial(pair.one, pb.SERIAL_RESET_DAY)

    held = await asyncio.gather(
        *(lease(stub, f"{NAME}@20261126", "a", 1) for stub in (pair.one, pair.other) * 5)
    )

    assert sorted(one.first for one in held) == list(range(1, 11))


async def test_a_period_goes_on_though_its_serial_is_renamed(stub: Stub) -> None:
    """By the old name and the new one: no number of the day comes twice."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    await lease(stub, f"{NAME}@20261126", "a", 10)
    await stub.RenameSequence(pb.RenameSequenceRequest(name=NAME, new_name="shop.sale"))

    assert (await lease(stub, "shop.sale@20261126", "b", 1)).first == 11
    assert (await lease(stub, f"{NAME}@20261126", "b", 1)).first == 12
    assert (await lease(stub, f"{NAME}@20261127", "b", 1)).first == 1
    assert (await lease(stub, "shop.sale@20261127", "b", 1)).first == 2


async def test_periods_share_the_state_and_callers_of_their_serial(stub: Stub) -> None:
    """Those that are there, and those that would be made."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    old, new = f"{NAME}@20261126", f"{NAME}@20261127"
    await lease(stub, old, "a", 1)
    update = pb.Sequence(name=NAME, callers=[pb.Caller(name="nobody")])
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=update))
    for name in (old, new):
        assert (await failure(lease(stub, name, "a", 1))).reason == "CALLER_NOT_ALLOWED"
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME)))

    await set_state(stub, NAME, DRAINING)
    newer = f"{NAME}@20261128"
    for name in (old, newer):
        assert (await failure(lease(stub, name, "a", 1))).reason == "SEQUENCE_CLOSED"
    await set_state(stub, NAME, ACTIVE)
    assert (await lease(stub, old, "a", 1)).first == 2
    await set_state(stub, NAME, DRAINING)
    await set_state(stub, NAME, RETIRED)
    for name in (old, newer):
        assert (await failure(lease(stub, name, "a", 1))).reason == "SEQUENCE_CLOSED"


async def test_a_serial_of_many_days_is_closed_and_opened_in_time(stub: Stub) -> None:
    """Each of its periods is, and one that is retired stays so."""
    await _serial(stub, pb.SERIAL_RESET_DAY)
    days = [f"{NAME}@2026{month:02}{day:02}" for month in range(1, 13) for day in range(1, 26)]
    await asyncio.gather(*(lease(stub, day, "a", 1) for day in days))
    for state in (DRAINING, RETIRED):
        await set_state(stub, days[7], state)

    for state in (DRAINING, ACTIVE, DRAINING):
        await set_state(stub, NAME, state)
        found = await stub.ListSequences(pb.ListSequencesRequest(page_size=1_000))
        states = {one.name: one.state for one in found.sequences}
        assert len(states) == len(days) + 1
        assert {name for name, one in states.items() if one != state} == {days[7]}


async def _serial(stub: Stub, reset: pb.SerialReset.ValueType) -> None:
    dates = {pb.SERIAL_RESET_DAY: "{date:%Y%m%d}", pb.SERIAL_RESET_MONTH: "{date:%Y%m}"}
    date = dates.get(reset, "{date:%Y}" if reset else "")
    serial = pb.SerialFormat(template=f"SO{date}{{number:08}}", zone="UTC", reset=reset)
    await create(stub, NAME, serial=serial)


# restarts


async def test_restarting_the_service_keeps_the_counter(var: Path) -> None:
    """What was granted before a restart is never granted after it."""
    for first in (1, 101):
        async with Mesh(var) as mesh:
            await mesh.start(BLUEPRINT)
            stub = SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))
            await create(stub, NAME)
            assert (await lease(stub, NAME, f"c{first}", 100)).first == first


async def test_leases_outlive_a_restart(var: Path) -> None:
    """A tail may come back to a server that did not grant it, and its witness is borne out."""
    held: list[pb.Lease] = []
    steps: list[Callable[[Stub], Awaitable[Any]]] = [
        lambda stub: create(stub, NAME),
        lambda stub: lease(stub, NAME, "a", 100),
        lambda stub: give_back(stub, NAME, held[1], 40),
        lambda stub: lease(stub, NAME, "a", 100, held[1]),
    ]
    for step in steps:
        async with Mesh(var) as mesh:
            await mesh.start(BLUEPRINT)
            stub = SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))
            held.append(await step(stub))
    assert (held[3].first, held[3].witness.epoch) == (101, 0)
