"""The customers of one run: made, given to Ark and customer centre, and cast."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from bank import Customers, Plan, Rows, parse_scale
from bank.inflow import CUSTOMERS, ROBOT_ID, Cast, Owner, cast
from centers.action.holdout import held_out
from cli.loop.people import People, together, tried
from cli.names import LOADER
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import ownership_pb2
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc

if TYPE_CHECKING:
    from engine.ark.v1.ark_pb2_grpc import ArkServiceAsyncStub
    from engine.customer.v1.customer_pb2_grpc import CustomerServiceAsyncStub
    from engine.simulator.v1.simulator_pb2_grpc import (
        CallSimulatorServiceAsyncStub,
        WecomSimulatorServiceAsyncStub,
    )
    from engine.wecom.v1.wecom_pb2_grpc import WecomServiceAsyncStub

T = TypeVar("T")

BATCH: Final = 2_000
HOLDOUT_BP: Final = 1_000
_GRADE_DAYS: Final = 365
_FULL_BP, _OWNER_BP = 10_000, 7_000


async def populate(people: People, *, run: int, seed: int) -> Cast:
    """Ten thousand customers of this run's own, known to the platform, each with a part."""
    tokens = await _admit(people, run=run, seed=seed)
    parts = cast(tokens, lambda salt, token: held_out(salt, token, HOLDOUT_BP), seed=seed + run)
    await _own(people, tokens, parts)
    await _bind(people, parts)
    await _plan(people, parts)
    return parts


async def _admit(people: People, *, run: int, seed: int) -> Sequence[int]:
    """Their personal data goes into the Ark, which answers their tokens."""
    plan = Plan(scale=parse_scale("S"), seed=seed)
    block = Customers(plan).block(Rows(run * CUSTOMERS + 1, CUSTOMERS)).to_pydict()
    names = ("cif", "name", "phone", "id_card", "aum_fen")
    records = [
        ark_pb2.CustomerRecord(cif=cif, name=name, phone=phone, id_card=id_card, aum_fen=aum)
        for cif, name, phone, id_card, aum in zip(*(block[name] for name in names), strict=True)
    ]
    ark: ArkServiceAsyncStub = ark_pb2_grpc.ArkServiceStub(people.as_local(LOADER, "ark"))

    async def send(batch: Sequence[ark_pb2.CustomerRecord]) -> Sequence[int]:
        request = ark_pb2.ImportCustomersRequest(records=batch)
        answer = await tried(lambda: ark.ImportCustomers(request, timeout=30))
        return [token.customer_id for token in answer.tokens]

    batches = await together(slices(records), send, most=2)
    return [token for batch in batches for token in batch]


async def _own(people: People, tokens: Sequence[int], parts: Cast) -> None:
    expiry = datetime.now(UTC) + timedelta(days=_GRADE_DAYS)
    customers = [_customer(token, parts.owners[token], expiry) for token in tokens]
    centre: CustomerServiceAsyncStub = customer_pb2_grpc.CustomerServiceStub(
        people.as_local(LOADER, "customer")
    )

    async def send(batch: Sequence[customer_pb2.Customer]) -> None:
        request = customer_pb2.ImportCustomersRequest(customers=batch)
        await tried(lambda: centre.ImportCustomers(request, timeout=30))

    await together(slices(customers), send, most=2)


def _customer(token: int, owner: Owner, expiry: datetime) -> customer_pb2.Customer:
    customer = customer_pb2.Customer(
        customer_id=token,
        tier=customer_pb2.TIER_AUM20,
        risk_grade=customer_pb2.RISK_GRADE_C3,
        owner_id=owner.staff_id,
        branch_id=owner.branch_id,
        owner_kind=_kind(owner),
        has_wecom=True,
        shares=_shares(owner),
    )
    customer.risk_grade_expire_time.FromDatetime(expiry)
    return customer


def _kind(owner: Owner) -> ownership_pb2.OwnerKind.ValueType:
    if owner.staff_id == ROBOT_ID:
        return ownership_pb2.OWNER_KIND_ROBOT
    if owner.branch_id:
        return ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
    return ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS


def _shares(owner: Owner) -> Iterator[ownership_pb2.OwnerShare]:
    own_bp = _OWNER_BP if owner.assistant_id else _FULL_BP
    yield ownership_pb2.OwnerShare(
        staff_id=owner.staff_id, share_bp=own_bp, branch_id=owner.branch_id
    )
    if owner.assistant_id:
        yield ownership_pb2.OwnerShare(
            staff_id=owner.assistant_id, share_bp=_FULL_BP - own_bp, branch_id=owner.branch_id
        )


async def _bind(people: People, parts: Cast) -> None:
    wecom: WecomServiceAsyncStub = wecom_pb2_grpc.WecomServiceStub(people.as_local(LOADER, "wecom"))
    request = wecom_pb2.BindContactsRequest(
        bindings=[
            wecom_pb2.Binding(
                customer_id=token,
                external_userid=external_userid(token),
                staff_id=parts.owners[token].staff_id,
            )
            for token in parts.wecom
        ]
    )
    await tried(lambda: wecom.BindContacts(request))


async def _plan(people: People, parts: Cast) -> None:
    """What the outside world will do: who answers the telephone, who is no friend any more."""
    calls: CallSimulatorServiceAsyncStub = simulator_pb2_grpc.CallSimulatorServiceStub(
        people.as_local(LOADER, "calls")
    )
    planned = simulator_pb2.PlanCallsRequest()
    for token in parts.calls:
        plan = planned.plans.add(customer_id=token, answered=token in parts.talk_s)
        plan.talk_time.FromSeconds(parts.talk_s.get(token, 0))
    await tried(lambda: calls.PlanCalls(planned))
    server: WecomSimulatorServiceAsyncStub = simulator_pb2_grpc.WecomSimulatorServiceStub(
        people.as_local(LOADER, "wecom-server")
    )
    contacts = simulator_pb2.PlanContactsRequest(
        plans=[
            simulator_pb2.ContactPlan(
                external_userid=external_userid(token), result_code="NOT_FRIEND"
            )
            for token in parts.wecom_unfriended
        ]
    )
    await tried(lambda: server.PlanContacts(contacts))


def external_userid(token: int) -> str:
    """Who a customer of the fixture is in WeCom."""
    return f"wx-{token}"


def request_id() -> str:
    """A new idempotency key."""
    return uuid.uuid4().hex


def slices(rows: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
