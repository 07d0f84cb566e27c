"""The sequencer over real sockets and the real chain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh import ErrorView
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.lease"}
MAX_ID = 2**63 - 1


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
async def stub(mesh: Mesh, telemetry: Telemetry) -> Stub:
    """The service, called by a user who may do everything; two services may as well."""
    mesh.trust("shop", RIGHTS)
    mesh.trust("gateway", RIGHTS)
    await mesh.start(BLUEPRINT, telemetry=telemetry)
    token = mesh.token("ops", permissions=RIGHTS)
    return SequencerServiceStub(mesh.channel("sequencer", token=token))


async def create(stub: Stub, name: str, *, start: int = 0, max_value: int = 0) -> pb.Sequence:
    wanted = pb.Sequence(name=name, start=start, max_value=max_value)
    answer = await stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted))
    return answer.sequence


async def lease(
    stub: Stub, name: str, client: str, size: int, last: pb.Lease | None = None
) -> pb.Lease:
    request = pb.LeaseRangeRequest(name=name, client_id=client, size=size)
    if last is not None:
        request.last_lease_number = last.lease_number
        request.last_id = last.first + last.size - 1
    return (await stub.LeaseRange(request)).lease


async def give_back(stub: Stub, name: str, held: pb.Lease, first_unused: int) -> int:
    request = pb.ReturnRangeRequest(
        name=name,
        client_id=held.client_id.removeprefix("ops/"),
        lease_number=held.lease_number,
        first_unused=first_unused,
    )
    return (await stub.ReturnRange(request)).returned


async def failure(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return ErrorView.from_rpc(caught.value)


async def test_a_created_sequence_can_be_read(stub: Stub) -> None:
    """Defaults are filled in, and reading shows what creating answered."""
    made = await create(stub, "shop.order")

    assert (made.start, made.max_value, made.next_value) == (1, MAX_ID, 1)
    assert made.kind == pb.SEQUENCE_KIND_SEGMENT
    assert made.create_time.seconds
    found = (await stub.GetSequence(pb.GetSequenceRequest(name="shop.order"))).sequence
    assert found == made


async def test_creating_again_is_idempotent(stub: Stub) -> None:
    """The same settings answer the sequence as it stands; other settings are refused."""
    await create(stub, "shop.order", start=10)
    held = await lease(stub, "shop.order", "a", 5)

    again = await create(stub, "shop.order", start=10, max_value=MAX_ID)
    assert again.next_value == held.first + 5

    refused = await failure(create(stub, "shop.order", start=11))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SEQUENCE_EXISTS")
    assert refused.metadata["start"] == "10"


@pytest.mark.parametrize(
    "name", ["", "Order", "1order", "order-x", "order.", "order..x", "订单", "x" * 101]
)
async def test_bad_names_are_refused(stub: Stub, name: str) -> None:
    """Names are lower-case words joined by dots."""
    refused = await failure(create(stub, name))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.violations[0].field == "sequence.name"


async def test_an_empty_sequence_is_refused(stub: Stub) -> None:
    """A start above the end is refused with the field."""
    refused = await failure(create(stub, "shop.order", start=2, max_value=1))

    assert refused.reason == "INVALID_ARGUMENT"
    assert refused.violations[0].field == "sequence.start"


async def test_an_unknown_sequence_is_not_found_by_any_method(stub: Stub) -> None:
    """Each method says which sequence is missing, in two languages and with a next step."""
    unknown = pb.Lease(lease_number=1, first=1, size=1, client_id="a")
    calls: list[Awaitable[Any]] = [
        stub.GetSequence(pb.GetSequenceRequest(name="no.such")),
        stub.ListLeases(pb.ListLeasesRequest(name="no.such")),
        stub.ListLeases(pb.ListLeasesRequest(name="no.such", id=5)),
        lease(stub, "no.such", "a", 1),
        give_back(stub, "no.such", unknown, 1),
    ]

    for call in calls:
        missing = await failure(call)
        assert (missing.code, missing.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "SEQUENCE_NOT_FOUND",
        )
        assert missing.metadata["sequence"] == "no.such"
        assert "engine seq create" in missing.next_step
        assert missing.titles["zh-CN"] == "序列不存在"


@pytest.mark.parametrize("permission", sorted(RIGHTS))
async def test_each_method_needs_its_right(mesh: Mesh, permission: str) -> None:
    """A caller with one right may do one kind of thing."""
    await mesh.start(BLUEPRINT)
    token = mesh.token("ops", permissions={permission})
    stub = SequencerServiceStub(mesh.channel("sequencer", token=token))
    wanted = pb.Sequence(name="a.b")
    calls: dict[str, list[Awaitable[Any]]] = {
        "sequencer.create": [stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted))],
        "sequencer.read": [
            stub.GetSequence(pb.GetSequenceRequest(name="a.b")),
            stub.ListSequences(pb.ListSequencesRequest()),
            stub.ListLeases(pb.ListLeasesRequest(name="a.b")),
        ],
        "sequencer.lease": [
            stub.LeaseRange(pb.LeaseRangeRequest(name="a.b", client_id="a", size=1)),
            stub.ReturnRange(pb.ReturnRangeRequest(name="a.b", client_id="a", lease_number=1)),
        ],
    }

    for needed, group in calls.items():
        for call in group:
            try:
                await call
                allowed = True
            except grpc.aio.AioRpcError as error:
                allowed = error.code() is not grpc.StatusCode.PERMISSION_DENIED
            assert allowed == (needed == permission)


async def test_ranges_never_overlap_under_concurrent_clients(stub: Stub) -> None:
    """A hundred clients at once get a hundred neighbouring ranges."""
    await create(stub, "shop.order")

    leases = await asyncio.gather(
        *(lease(stub, "shop.order", f"client{number}", number) for number in range(1, 101))
    )

    ranges = sorted((held.first, held.size) for held in leases)
    assert ranges[0][0] == 1
    for (first, size), (following, _) in pairwise(ranges):
        assert first + size == following
    assert len({held.lease_number for held in leases}) == 100


async def test_a_sequence_ends_exactly_at_its_last_id(stub: Stub) -> None:
    """The very last 64-bit id is granted; after it the sequence is exhausted."""
    await create(stub, "short.one", start=MAX_ID - 9)

    held = await lease(stub, "short.one", "a", 100)
    assert (held.first, held.size) == (MAX_ID - 9, 10)
    exhausted = await failure(lease(stub, "short.one", "a", 1, held))
    assert exhausted.reason == "SEQUENCE_EXHAUSTED"
    left = await stub.GetSequence(pb.GetSequenceRequest(name="short.one"))
    assert left.sequence.next_value == 0


@pytest.mark.parametrize("size", [-1, 0, 2**32 + 1])
async def test_impossible_sizes_are_refused(stub: Stub, size: int) -> None:
    """A range has at least one id and at most 2**32."""
    await create(stub, "shop.order")

    refused = await failure(lease(stub, "shop.order", "a", size))
    assert refused.violations[0].field == "size"


async def test_a_returned_tail_goes_to_a_new_client_alone(stub: Stub) -> None:
    """A client that holds higher ids never goes back; a new one starts with the tail."""
    await create(stub, "shop.order")
    held = await lease(stub, "shop.order", "a", 100)
    assert await give_back(stub, "shop.order", held, 41) == 60

    assert (await lease(stub, "shop.order", "a", 10, held)).first == 101
    part = await lease(stub, "shop.order", "b", 20)
    assert (part.first, part.size) == (41, 20)
    rest = await lease(stub, "shop.order", "c", 1_000)
    assert (rest.first, rest.size) == (61, 40)
    assert held.lease_number < part.lease_number < rest.lease_number
    assert (await lease(stub, "shop.order", "d", 5)).first == 111


async def test_returning_twice_changes_nothing(stub: Stub) -> None:
    """A repeated return answers 0, also when the tail has gone to somebody else."""
    await create(stub, "shop.order")
    held = await lease(stub, "shop.order", "a", 100)
    assert await give_back(stub, "shop.order", held, 41) == 60
    assert await give_back(stub, "shop.order", held, 41) == 0
    await lease(stub, "shop.order", "b", 60)

    assert await give_back(stub, "shop.order", held, 41) == 0
    assert (await lease(stub, "shop.order", "c", 1)).first == 101


async def test_only_the_holder_returns_a_lease(stub: Stub) -> None:
    """Another client's lease, and one that never was, are not found; foreign ids are refused."""
    await create(stub, "shop.order")
    held = await lease(stub, "shop.order", "a", 100)
    foreign = pb.Lease(lease_number=held.lease_number, client_id="b")
    unknown = pb.Lease(lease_number=99, client_id="a")

    for claimed in (foreign, unknown):
        missing = await failure(give_back(stub, "shop.order", claimed, 50))
        assert missing.reason == "LEASE_NOT_FOUND"
    outside = await failure(give_back(stub, "shop.order", held, 102))
    assert outside.violations[0].field == "first_unused"


async def test_a_lease_cannot_be_returned_under_its_client_id_by_another(
    stub: Stub, mesh: Mesh
) -> None:
    """A client id is a name within its caller: a service or user with it holds nothing of it."""
    await create(stub, "shop.order")
    held = await lease(stub, "shop.order", "a", 100)
    assert held.client_id == "ops/a"
    other = mesh.token("thief", permissions=RIGHTS)

    for channel in (
        mesh.channel("sequencer", token=other),
        mesh.channel("sequencer", caller="shop"),
    ):
        thief = SequencerServiceStub(channel)
        for number, client in ((held.lease_number, "a"), (held.lease_number, "ops/a"), (99, "a")):
            claimed = pb.ReturnRangeRequest(
                name="shop.order", client_id=client, lease_number=number, first_unused=1
            )
            missing = await failure(thief.ReturnRange(claimed))
            assert (missing.reason, missing.message, missing.metadata) == (
                "LEASE_NOT_FOUND",
                "The client holds no such lease",
                {},
            )
    assert (await lease(stub, "shop.order", "b", 1)).first == 101
    assert await give_back(stub, "shop.order", held, 41) == 60


async def test_a_service_that_knows_more_than_the_store_is_believed(
    stub: Stub, mesh: Mesh, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A store restored from an old copy is jumped over, and an alarm is raised."""
    service = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    await create(stub, "shop.order")
    await lease(stub, "shop.order", "a", 100)

    ahead = pb.Lease(lease_number=7, first=1, size=5_000)
    held = await lease(service, "shop.order", "b", 10, ahead)

    assert (held.first, held.lease_number) == (5_001, 8)
    assert (await lease(stub, "shop.order", "c", 10)).first == 5_011
    assert telemetry.meters.counter("sequencer.fence_jumps").value == 1
    assert "sequence_store_behind_client" in caplog.text


@pytest.mark.parametrize(
    "claim",
    [
        pb.Lease(lease_number=1, first=MAX_ID, size=1),
        pb.Lease(lease_number=1, first=101, size=1),
        pb.Lease(lease_number=2, first=100, size=1),
    ],
)
@pytest.mark.parametrize("through", ["", "gateway"])
async def test_a_user_cannot_burn_a_sequence(
    stub: Stub, mesh: Mesh, claim: pb.Lease, through: str, telemetry: Telemetry
) -> None:
    """What a user says to hold beyond what was granted is refused, and changes nothing."""
    await create(stub, "shop.order")
    held = await lease(stub, "shop.order", "a", 100)
    token = mesh.token("ops", permissions=RIGHTS)
    user = SequencerServiceStub(mesh.channel("sequencer", token=token, caller=through))

    refused = await failure(lease(user, "shop.order", "a", 1, claim))

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "FENCE_REFUSED",
    )
    assert refused.next_step
    assert refused.titles["zh-CN"] == "声称的号段超出已发放范围"
    assert telemetry.meters.counter("sequencer.fence_jumps").value == 0
    assert (await lease(user, "shop.order", "a", 1, held)).first == 101


async def test_a_claim_beyond_the_sequence_is_refused(stub: Stub) -> None:
    """Nobody can end a sequence by claiming an id that it does not have."""
    await create(stub, "shop.order", max_value=1_000)

    refused = await failure(
        lease(stub, "shop.order", "a", 1, pb.Lease(lease_number=1, first=1_001, size=1))
    )
    assert refused.violations[0].field == "last_id"


async def test_leases_tell_who_got_which_ids(stub: Stub) -> None:
    """Newest first, with the returned tail; an id leads to the lease that holds it."""
    await create(stub, "shop.order")
    held = await lease(stub, "shop.order", "a", 100)
    await lease(stub, "shop.order", "b", 50)
    await give_back(stub, "shop.order", held, 41)

    listed = (await stub.ListLeases(pb.ListLeasesRequest(name="shop.order"))).leases
    assert [(row.client_id, row.first, row.size, row.state) for row in listed] == [
        ("ops/a", 41, 60, pb.LEASE_STATE_RETURNED),
        ("ops/b", 101, 50, pb.LEASE_STATE_GRANTED),
        ("ops/a", 1, 40, pb.LEASE_STATE_GRANTED),
    ]
    for id_, holder in ((1, "ops/a"), (40, "ops/a"), (101, "ops/b"), (150, "ops/b")):
        found = await stub.ListLeases(pb.ListLeasesRequest(name="shop.order", id=id_))
        assert [row.client_id for row in found.leases] == [holder]
    never = await stub.ListLeases(pb.ListLeasesRequest(name="shop.order", id=151))
    assert not never.leases


async def test_lists_come_in_pages(stub: Stub) -> None:
    """Following the tokens shows every sequence and every lease once, in order."""
    names = [f"paged.s{number:02}" for number in range(12)]
    for name in reversed(names):
        await create(stub, name)
    for number in range(12):
        await lease(stub, names[0], f"client{number}", 1)

    sequences: list[str] = []
    leases: list[int] = []
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
        leases += [row.lease_number for row in answer.leases]
        if not answer.next_page_token:
            break
        of.page_token = answer.next_page_token

    assert sequences == names
    assert leases == list(range(12, 0, -1))


async def test_foreign_page_tokens_are_refused(stub: Stub) -> None:
    """A token goes on with the list that it came from, and no other."""
    for name in ("a.a", "a.b"):
        await create(stub, name)
        for client in ("a", "b"):
            await lease(stub, name, client, 1)
    token = (await stub.ListLeases(pb.ListLeasesRequest(name="a.a", page_size=1))).next_page_token

    for call in (
        stub.ListLeases(pb.ListLeasesRequest(name="a.b", page_token=token)),
        stub.ListLeases(pb.ListLeasesRequest(name="a.a", id=1, page_token=token)),
        stub.ListSequences(pb.ListSequencesRequest(page_token=token)),
        stub.ListSequences(pb.ListSequencesRequest(page_token="nonsense")),
    ):
        assert (await failure(call)).reason == "PAGE_TOKEN_INVALID"


async def test_restarting_the_service_keeps_the_counter(var: Path) -> None:
    """What was granted before a restart is never granted after it."""
    for first in (1, 101):
        async with Mesh(var) as mesh:
            await mesh.start(BLUEPRINT)
            token = mesh.token("ops", permissions=RIGHTS)
            stub = SequencerServiceStub(mesh.channel("sequencer", token=token))
            await create(stub, "shop.order")
            assert (await lease(stub, "shop.order", f"c{first}", 100)).first == first
