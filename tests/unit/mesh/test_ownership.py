"""Whose customer somebody is: the rule, and how owners are looked up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest

from engine.mesh.v1 import ownership_pb2, ownership_pb2_grpc, policy_pb2
from mesh import context, ownership
from mesh.channel import Channel
from mesh.clock import ManualClock
from mesh.context import Principal, RequestContext, Scope
from mesh.deadline import Deadline
from mesh.ownership import KEPT_S, CustomerScope, Owner, Ownerships, Share

OWNER, ASSISTANT, STRANGER = 7, 8, 9
HERE, THERE = 3, 4
KNOWN = 1_000_000
"""Customers below this are known."""

CUSTOMER = Owner(
    customer_id=11,
    kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    owner_id=OWNER,
    branch_id=HERE,
    shares=(
        Share(staff_id=OWNER, share_bp=7_000, branch_id=HERE),
        Share(staff_id=ASSISTANT, share_bp=3_000, branch_id=THERE),
    ),
)
UNOWNED = replace(
    CUSTOMER,
    kind=ownership_pb2.OWNER_KIND_UNSPECIFIED,
    owner_id=0,
    branch_id=0,
    shares=(),
)


def owned(number: int, branch_id: int = HERE) -> Owner:
    """Customer N: his owner, N % 100, and the assistant."""
    owner_id = number % 100
    first = Share(staff_id=owner_id, share_bp=7_000, branch_id=branch_id)
    return replace(
        CUSTOMER,
        customer_id=number,
        owner_id=owner_id,
        branch_id=branch_id,
        shares=(first, CUSTOMER.shares[1]),
    )


class Centre:
    """A customer centre that counts what it is asked; `gate` holds its answers back."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.metadata: dict[str, Any] = {}
        self.branch = HERE
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.failing = False

    async def GetOwners(self, request: Any, call: Any) -> Any:
        self.asked.append(list(request.customer_ids))
        self.metadata = dict(call.invocation_metadata())
        self.arrived.set()
        await self.gate.wait()
        if self.failing:
            await call.abort(grpc.StatusCode.INTERNAL, "not now")
        known = [number for number in request.customer_ids if number < KNOWN]
        return ownership_pb2.GetOwnersResponse(
            owners=[ownership.ownership(owned(number, self.branch)) for number in known]
        )


@pytest.fixture
async def centre() -> Centre:
    return Centre()


@pytest.fixture
async def channel(centre: Centre) -> AsyncIterator[Channel]:
    server = grpc.aio.server()
    ownership_pb2_grpc.add_OwnershipServiceServicer_to_server(centre, server)  # type: ignore[arg-type]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Channel("customer", lambda: [f"127.0.0.1:{port}"]) as channel:
        yield channel
    await server.stop(None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ownerships(channel: Channel, clock: ManualClock) -> Ownerships:
    return Ownerships(channel, clock)


@pytest.mark.parametrize(
    ("scope", "staff_id", "branch_id", "reached"),
    [
        (policy_pb2.SCOPE_OWN_BOOK, OWNER, THERE, True),
        (policy_pb2.SCOPE_OWN_BOOK, ASSISTANT, THERE, True),
        (policy_pb2.SCOPE_OWN_BOOK, STRANGER, HERE, False),
        (policy_pb2.SCOPE_BRANCH, STRANGER, HERE, True),
        (policy_pb2.SCOPE_BRANCH, OWNER, THERE, False),
        (policy_pb2.SCOPE_ALL, 0, 0, True),
        (policy_pb2.SCOPE_SELF, OWNER, HERE, False),
        (policy_pb2.SCOPE_UNSPECIFIED, OWNER, HERE, False),
        (9, OWNER, HERE, False),
    ],
)
def test_scope_reaches_what_it_names(
    scope: Scope, staff_id: int, branch_id: int, reached: bool
) -> None:
    """The book is of all who share the customer, the branch is the owner's; else nothing."""
    assert CUSTOMER.is_within(scope, staff_id=staff_id, branch_id=branch_id) is reached


@pytest.mark.parametrize("scope", [policy_pb2.SCOPE_OWN_BOOK, policy_pb2.SCOPE_BRANCH])
def test_who_has_no_number_does_not_own_what_nobody_owns(scope: Scope) -> None:
    """A number of 0 is no number: head office does not reach customers without owner by it."""
    assert not UNOWNED.is_within(scope, staff_id=0, branch_id=0)


@pytest.mark.parametrize(
    ("scope", "row", "reached"),
    [
        (policy_pb2.SCOPE_OWN_BOOK, 107, True),
        (policy_pb2.SCOPE_OWN_BOOK, 106, False),
        (policy_pb2.SCOPE_ALL, 106, True),
        (policy_pb2.SCOPE_ALL, KNOWN, False),
    ],
)
async def test_rows_are_reached_by_the_same_rule(
    ownerships: Ownerships, scope: Scope, row: int, reached: bool
) -> None:
    """A known customer within scope is reached; one that is unknown never is."""
    caller = Principal(subject="rm007", permissions=frozenset(), staff_id=OWNER, branch_id=HERE)
    assert await CustomerScope(ownerships)(caller, scope, row) is reached


async def test_owners_come_with_all_that_is_known(ownerships: Ownerships) -> None:
    """Kind, branch and shares survive the wire; unknown customers are left out."""
    found = await ownerships.owners([107, KNOWN])
    assert found == {107: owned(107)}


async def test_look_ups_of_one_turn_are_one_call(centre: Centre, ownerships: Ownerships) -> None:
    """A hundred calls that begin together ask once, each customer once."""
    asked = [*range(1, 51), *range(1, 51)]
    answers = await asyncio.gather(*(ownerships.owners([number]) for number in asked))
    assert [list(answer) for answer in answers] == [[number] for number in asked]
    assert [sorted(batch) for batch in centre.asked] == [list(range(1, 51))]


async def test_nobody_is_asked_for_twice_at_a_time(centre: Centre, ownerships: Ownerships) -> None:
    """Who comes while the answer is on its way waits for the same one."""
    centre.gate.clear()
    first = asyncio.create_task(ownerships.owners([1]))
    await centre.arrived.wait()
    second = asyncio.create_task(ownerships.owners([1, 2]))
    while len(centre.asked) != 2:
        centre.arrived.clear()
        await centre.arrived.wait()
    centre.gate.set()
    assert (await first).keys() == {1}
    assert (await second).keys() == {1, 2}
    assert centre.asked == [[1], [2]]


async def test_more_than_one_call_may_hold_are_asked_in_several(
    centre: Centre, ownerships: Ownerships, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call asks for more customers than the contract allows."""
    monkeypatch.setattr(ownership, "BATCH", 3)
    found = await ownerships.owners(range(1, 8))
    assert found.keys() == set(range(1, 8))
    assert sorted(map(len, centre.asked)) == [1, 3, 3]


async def test_owner_is_remembered_for_two_seconds(
    centre: Centre, ownerships: Ownerships, clock: ManualClock
) -> None:
    """Within them nobody is asked again; after them a transfer shows."""
    await ownerships.owners([1])
    centre.branch = THERE
    clock.advance(KEPT_S - 0.01)
    assert (await ownerships.owners([1]))[1].branch_id == HERE
    clock.advance(0.01)
    assert (await ownerships.owners([1]))[1].branch_id == THERE
    assert len(centre.asked) == 2


async def test_time_on_the_way_counts(
    centre: Centre, ownerships: Ownerships, clock: ManualClock
) -> None:
    """An answer ages from when it was asked for, not from when it came."""
    centre.gate.clear()
    asking = asyncio.create_task(ownerships.owners([1]))
    await centre.arrived.wait()
    clock.advance(KEPT_S)
    centre.gate.set()
    await asking
    await ownerships.owners([1])
    assert len(centre.asked) == 2


async def test_unknown_customers_are_not_remembered(centre: Centre, ownerships: Ownerships) -> None:
    """Somebody who becomes a customer is known at once."""
    await ownerships.owners([KNOWN])
    await ownerships.owners([KNOWN])
    assert len(centre.asked) == 2


async def test_memory_is_bounded(
    centre: Centre, ownerships: Ownerships, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was learned first leaves first."""
    monkeypatch.setattr(ownership, "MAX_KEPT", 2)
    for number in (1, 2, 3):
        await ownerships.owners([number])
    await ownerships.owners([2, 3])
    await ownerships.owners([1])
    assert centre.asked == [[1], [2], [3], [1]]


async def test_service_asks_for_itself(centre: Centre, ownerships: Ownerships) -> None:
    """Neither the user's token nor whom he acts for travels: a shared look-up is nobody's."""
    user = Principal(subject="rm007", permissions=frozenset())
    asking = RequestContext(principal=user, token="secret", purpose="service")
    with context.using(asking):
        await ownerships.owners([1])
    assert not {context.AUTHORIZATION, context.ON_BEHALF_OF} & centre.metadata.keys()


async def test_deadline_of_one_does_not_bind_the_others(
    centre: Centre, ownerships: Ownerships
) -> None:
    """Who has no time left does not end the look-up that others wait for."""
    with context.using(RequestContext(deadline=Deadline.after(0.0))):
        hasty = asyncio.create_task(ownerships.owners([1]))
    patient = asyncio.create_task(ownerships.owners([1]))
    assert (await asyncio.gather(hasty, patient))[1].keys() == {1}
    assert centre.asked == [[1]]


async def test_who_leaves_does_not_take_the_answer_away(
    centre: Centre, ownerships: Ownerships
) -> None:
    """The first one is cancelled while he waits; the second one is answered."""
    centre.gate.clear()
    first = asyncio.create_task(ownerships.owners([1]))
    second = asyncio.create_task(ownerships.owners([1]))
    await centre.arrived.wait()
    first.cancel()
    centre.gate.set()
    assert (await second).keys() == {1}
    assert first.cancelled()


async def test_failure_reaches_all_who_wait_and_is_not_remembered(
    centre: Centre, ownerships: Ownerships
) -> None:
    """While the centre is away look-ups fail; the next one asks anew."""
    centre.failing = True
    failed = await asyncio.gather(
        *(ownerships.owners([1]) for _ in range(3)), return_exceptions=True
    )
    assert {type(error) for error in failed} == {grpc.aio.AioRpcError}
    centre.failing = False
    assert (await ownerships.owners([1])).keys() == {1}


async def test_failure_that_nobody_waits_for_is_let_go(
    centre: Centre, ownerships: Ownerships
) -> None:
    """All have left when the look-up fails; the next one asks anew."""
    centre.gate.clear()
    left = asyncio.create_task(ownerships.owners([1]))
    await centre.arrived.wait()
    left.cancel()
    await asyncio.wait([left])
    centre.failing = True
    centre.gate.set()
    other = asyncio.create_task(ownerships.owners([1]))
    with pytest.raises(grpc.aio.AioRpcError):
        await other
    assert len(centre.asked) == 1
