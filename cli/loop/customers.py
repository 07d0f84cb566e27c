"""Customers of a run's own: given to Ark and customer centre, known to outside parties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bank import Customers, Plan, Rows, parse_scale
from bank.inflow import ROBOT_ID, Owner
from cli.loop.people import People, slices, together, tried
from cli.names import LOADER
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import ownership_pb2
from engine.simulator.v1 import simulator_pb2, simulator_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc

if TYPE_CHECKING:
    from engine.ark.v1.ark_pb2_grpc import ArkServiceAsyncStub
    from engine.customer.v1.customer_pb2_grpc import CustomerServiceAsyncStub
    from engine.simulator.v1.simulator_pb2_grpc import CallSimulatorServiceAsyncStub
    from engine.wecom.v1.wecom_pb2_grpc import WecomServiceAsyncStub

_GRADE_DAYS: Final = 365
_FULL_BP, _OWNER_BP = 10_000, 7_000


async def admit(people: People, rows: Rows, *, seed: int) -> Sequence[int]:
    """Give the personal data of these customers to the Ark, which answers their tokens."""
    plan = Plan(scale=parse_scale("S"), seed=seed)
    block = Customers(plan).block(rows).to_pydict()
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


async def bring(people: People, customers: Sequence[customer_pb2.Customer]) -> None:
    """Give customers to the customer centre; those that it knows are replaced."""
    centre: CustomerServiceAsyncStub = customer_pb2_grpc.CustomerServiceStub(
        people.as_local(LOADER, "customer")
    )

    async def send(batch: Sequence[customer_pb2.Customer]) -> None:
        request = customer_pb2.ImportCustomersRequest(customers=batch)
        await tried(lambda: centre.ImportCustomers(request, timeout=30))

    await together(slices(customers), send, most=2)


def balanced(token: int, owner: Owner) -> customer_pb2.Customer:
    """A customer of grade C3 for another year, from 200,000 yuan."""
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
    customer.risk_grade_expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=_GRADE_DAYS))
    return customer


async def bind(people: People, members: Mapping[int, int]) -> None:
    """Make customers external contacts in WeCom, each of the member with this staff number."""
    wecom: WecomServiceAsyncStub = wecom_pb2_grpc.WecomServiceStub(people.as_local(LOADER, "wecom"))
    request = wecom_pb2.BindContactsRequest(
        bindings=[
            wecom_pb2.Binding(
                customer_id=token, external_userid=external_userid(token), staff_id=staff_id
            )
            for token, staff_id in members.items()
        ]
    )
    await tried(lambda: wecom.BindContacts(request))


async def plan_calls(people: People, tokens: Sequence[int], talk_s: Mapping[int, int]) -> None:
    """Say how these customers answer the telephone: for so many seconds, or not at all."""
    calls: CallSimulatorServiceAsyncStub = simulator_pb2_grpc.CallSimulatorServiceStub(
        people.as_local(LOADER, "calls")
    )
    planned = simulator_pb2.PlanCallsRequest()
    for token in tokens:
        plan = planned.plans.add(customer_id=token, answered=token in talk_s)
        plan.talk_time.FromSeconds(talk_s.get(token, 0))
    await tried(lambda: calls.PlanCalls(planned))


def external_userid(token: int) -> str:
    """Who a customer of the fixture is in WeCom."""
    return f"wx-{token}"


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
