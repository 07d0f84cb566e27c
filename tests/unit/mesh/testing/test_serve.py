"""A service is served in three lines: real channel, real chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from engine.customer.v1.customer_pb2 import (
    GetCustomerRequest,
    ListCustomersRequest,
)
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.mesh.v1 import trust_pb2
from engine.mesh.v1.trust_pb2_grpc import TrustServiceStub
from mesh import (
    Blueprint,
    Parts,
    Principal,
    Service,
    Servicer,
)
from mesh.channel import Endpoint
from mesh.contract import ContractError
from mesh.testing import Link, serve
from tests.unit.mesh.testing.toys import (
    ASK,
    CUSTOMERS,
    READ,
    TRUST,
    Ends,
    Toy,
    Whole,
    reason,
    refusal,
)


async def test_a_servicer_is_served_to_a_user(served: Servicer, toy: Toy) -> None:
    """The chain lets him in by his permission."""
    async with serve(served, permissions=READ) as channel:
        answer = await CustomerServiceStub(channel).GetCustomer(ASK)
    assert answer.customer.customer_id == 7
    assert toy.seen == [("user", "", "")]


async def test_the_chain_refuses_as_it_always_does(served: Servicer) -> None:
    """Without the permission, without a user, with a request that breaks a rule."""
    async with serve(served) as channel:
        assert await reason(CustomerServiceStub(channel).GetCustomer(ASK)) == "PERMISSION_DENIED"
    async with serve(served, user="") as channel:
        assert await reason(CustomerServiceStub(channel).GetCustomer(ASK)) == "UNAUTHENTICATED"
    async with serve(served, permissions=READ) as channel:
        bad = CustomerServiceStub(channel).GetCustomer(GetCustomerRequest(customer_id=-1))
        assert await reason(bad) == "INVALID_ARGUMENT"


async def test_a_service_may_call_with_rights_and_a_purpose(served: Servicer, toy: Toy) -> None:
    """The handler sees all that was stated."""
    async with serve(
        served, user="rm001", permissions=READ, caller="reach", rights=READ, purpose="contact"
    ) as channel:
        await CustomerServiceStub(channel).GetCustomer(ASK)
    assert toy.seen == [("rm001", "reach", "contact")]


async def test_a_resolver_says_which_rows_are_in_reach(served: Servicer) -> None:
    """Without one every row is."""

    async def in_reach(principal: Principal, scope: Any, row: int) -> bool:
        return row == principal.staff_id

    async with serve(served, permissions=READ, staff_id=7, scope_resolver=in_reach) as channel:
        stub = CustomerServiceStub(channel)
        assert (await stub.GetCustomer(ASK)).customer.customer_id == 7
        assert await reason(stub.GetCustomer(GetCustomerRequest(customer_id=8))) == "OUT_OF_SCOPE"


async def test_a_method_that_the_implementation_leaves_out_is_unimplemented(
    served: Servicer,
) -> None:
    """A test writes the handlers that it needs; streams as well."""
    async with serve(served, permissions=READ) as channel:
        view = await refusal(CustomerServiceStub(channel).ListCustomers(ListCustomersRequest()))
    assert view.code is grpc.StatusCode.UNIMPLEMENTED
    assert view.message == "the implementation under test has no ListCustomers"
    bare = Servicer(descriptor=TRUST, implementation=object())
    async with serve(bare, user="", caller="reach", rights={"trust.watch"}) as channel:
        watch = TrustServiceStub(channel).WatchRevocations(trust_pb2.WatchRevocationsRequest())
        assert await reason(watch.read()) == "UNKNOWN_METHOD"


async def test_a_whole_service_is_served_as_it_is() -> None:
    """With its own resolver."""

    async def nothing(principal: Principal, scope: Any, row: Any) -> bool:
        return False

    whole = Servicer(descriptor=CUSTOMERS, implementation=Whole())
    with pytest.raises(ContractError, match="give the Service a scope_resolver"):
        async with serve(Service(servicers=[whole])):
            pass
    service = Service(servicers=[whole], scope_resolver=nothing)
    async with serve(service, permissions=READ) as channel:
        assert await reason(CustomerServiceStub(channel).GetCustomer(ASK)) == "OUT_OF_SCOPE"


async def test_a_blueprint_with_migrations_has_a_database(var: Path) -> None:
    """Brought to its revision, in the service's own folder."""
    (var / "versions").mkdir()
    (var / "versions" / "0001_notes.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '0001', None, None, None\n"
        "def upgrade() -> None:\n    op.create_table('notes', sa.Column('text', sa.Text))\n"
    )
    notes = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.Text))

    def build(parts: Parts) -> Service:
        class Noting(Ends):
            async def GetKeySet(self, _request: Any, _context: Any) -> Any:
                async with parts.store.transaction() as tx:
                    await tx.execute(sa.insert(notes), {"text": "one"})
                    assert len(await tx.fetch_all(sa.select(notes))) == 1
                return trust_pb2.GetKeySetResponse()

            async def PollRevocations(self, _request: Any, _context: Any) -> Any:
                return trust_pb2.PollRevocationsResponse()

        return Service(servicers=[Servicer(descriptor=TRUST, implementation=Noting())])

    blueprint = Blueprint(name="noting", build=build, migrations=var)
    async with serve(blueprint, caller="reach", rights={"trust.watch"}, user="") as channel:
        await TrustServiceStub(channel).GetKeySet(trust_pb2.GetKeySetRequest())


@pytest.mark.parametrize("way", ["ordinary", "lane"])
async def test_a_link_lies_between_channel_and_service(served: Servicer, way: str) -> None:
    """Cut, calls fail; half open, they end by their deadline; mended, they are answered."""
    async with (
        serve(served, permissions=READ) as channel,
        Link(channel.address) as link,
        Link(channel.lanes[0]) as lane,
    ):
        lanes = (lane.address,) if way == "lane" else ()
        stub = CustomerServiceStub(channel.via(Endpoint(link.address, lanes)))
        await stub.GetCustomer(ASK)
        for passage in (link, lane):
            passage.half_open()
        view = await refusal(stub.GetCustomer(ASK, timeout=0.2))
        assert view.code is grpc.StatusCode.DEADLINE_EXCEEDED
        for passage in (link, lane):
            passage.cut()
        assert (await refusal(stub.GetCustomer(ASK))).code is grpc.StatusCode.UNAVAILABLE
        for passage in (link, lane):
            passage.mend()
        await stub.GetCustomer(ASK, wait_for_ready=True)
        assert (way == "lane") == (lane.accepted > 0)


async def test_the_proof_of_a_caller_goes_by_any_way(served: Servicer, toy: Toy) -> None:
    """Also by a link, where the lane itself cannot prove it."""
    async with (
        serve(served, permissions=READ, caller="reach", rights=READ) as channel,
        Link(channel.lanes[0]) as lane,
    ):
        for by in (channel, channel.via(Endpoint(channel.address, (lane.address,)))):
            await CustomerServiceStub(by).GetCustomer(ASK)
    assert toy.seen == [("user", "reach", "")] * 2
    assert lane.accepted == 1
