"""A service is served in three lines: real channel, real chain, faults of its methods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2 import (
    Customer,
    GetCustomerRequest,
    GetCustomerResponse,
    ListCustomersRequest,
)
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.mesh.v1 import trust_pb2
from engine.mesh.v1.trust_pb2_grpc import TrustServiceStub
from mesh import (
    Blueprint,
    ErrorView,
    MeshError,
    MeshReason,
    Parts,
    Principal,
    Service,
    Servicer,
    current,
)
from mesh.contract import ContractError
from mesh.testing import Faults, Link, serve

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
TRUST = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]
ASK = GetCustomerRequest(customer_id=7)
READ = {"customer.read"}


class Toy:
    """Answers, and remembers who asked for whom and what for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    async def GetCustomer(self, request: GetCustomerRequest, _context: Any) -> GetCustomerResponse:
        now = current()
        self.seen.append((now.user, now.service, now.purpose))
        return GetCustomerResponse(customer=Customer(customer_id=request.customer_id))


class Whole(Toy):
    """Has a handler for each method of the contract."""

    def __getattr__(self, _name: str) -> Any:
        return self.GetCustomer


class Ends:
    """Two sessions end."""

    async def WatchRevocations(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        for _ in range(2):
            yield trust_pb2.WatchRevocationsResponse()


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def served(toy: Toy) -> Servicer:
    return Servicer(descriptor=CUSTOMERS, implementation=toy)


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def reason(call: Any) -> str:
    return (await refusal(call)).reason


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

        return Service(servicers=[Servicer(descriptor=TRUST, implementation=Noting())])

    blueprint = Blueprint(name="noting", build=build, migrations=var)
    async with serve(blueprint, caller="reach", rights={"trust.watch"}, user="") as channel:
        await TrustServiceStub(channel).GetKeySet(trust_pb2.GetKeySetRequest())


async def test_a_fault_fails_so_many_calls_through_the_chain(served: Servicer, toy: Toy) -> None:
    """A real status with its details; the handler is not called."""
    faults = Faults()
    async with serve(served, permissions=READ, faults=faults) as channel:
        stub = CustomerServiceStub(channel)
        faults.fail("GetCustomer", MeshReason.OVERLOADED, times=2)
        assert [await reason(stub.GetCustomer(ASK)) for _ in range(2)] == ["OVERLOADED"] * 2
        assert not toy.seen
        assert (await stub.GetCustomer(ASK)).customer.customer_id == 7


async def test_a_fault_without_a_number_stays_until_mended(served: Servicer) -> None:
    """With all that the error says."""
    faults = Faults()
    error = MeshError(MeshReason.OVERLOADED, "full", retry_after_s=3)
    faults.fail("GetCustomer", error)
    async with serve(served, permissions=READ, faults=faults) as channel:
        stub = CustomerServiceStub(channel)
        for _ in range(3):
            view = await refusal(stub.GetCustomer(ASK))
            assert (view.message, view.retry_after_s) == ("full", 3)
        faults.mend()
        await stub.GetCustomer(ASK)


async def test_who_may_not_call_meets_no_fault(served: Servicer) -> None:
    """The chain refuses him first, and his call does not count."""
    faults = Faults()
    faults.fail("GetCustomer", MeshReason.OVERLOADED, times=1)
    async with serve(served, faults=faults) as channel:
        assert await reason(CustomerServiceStub(channel).GetCustomer(ASK)) == "PERMISSION_DENIED"


async def test_a_slow_method_meets_the_caller_s_deadline(served: Servicer) -> None:
    """The deadline of the real call ends it; mended, the method answers."""
    faults = Faults()
    async with serve(served, permissions=READ, faults=faults) as channel:
        stub = CustomerServiceStub(channel)
        faults.delay("GetCustomer", 3600)
        view = await refusal(stub.GetCustomer(ASK, timeout=0.2))
        assert view.code is grpc.StatusCode.DEADLINE_EXCEEDED
        faults.delay("GetCustomer", 0.01)
        await stub.GetCustomer(ASK)
        faults.mend("GetCustomer")
        await stub.GetCustomer(ASK)


async def test_a_stream_has_faults_as_well() -> None:
    """Before its first message."""
    faults = Faults()
    ends = Servicer(descriptor=TRUST, implementation=Ends())
    async with serve(
        ends, user="", caller="reach", rights={"trust.watch"}, faults=faults
    ) as channel:
        stub = TrustServiceStub(channel)
        faults.fail("WatchRevocations", MeshReason.UNAVAILABLE, times=1)
        request = trust_pb2.WatchRevocationsRequest()
        assert await reason(stub.WatchRevocations(request).read()) == "UNAVAILABLE"
        assert len([answer async for answer in stub.WatchRevocations(request)]) == 2


async def test_a_fault_of_a_method_that_is_not_served_is_refused(served: Servicer) -> None:
    """At once when the service runs, else when it starts."""
    faults = Faults()
    async with serve(served, faults=faults):
        with pytest.raises(AttributeError, match="did you mean GetCustomer"):
            faults.fail("GetCustmer", MeshReason.OVERLOADED)
        with pytest.raises(AttributeError, match="did you mean GetCustomer"):
            faults.delay("GetCustmer", 1)
    early = Faults()
    early.fail("GetCustmer", MeshReason.OVERLOADED)
    with pytest.raises(AttributeError, match="did you mean GetCustomer"):
        async with serve(served, faults=early):
            pass


async def test_a_link_lies_between_channel_and_service(served: Servicer) -> None:
    """Cut, calls fail; half open, they end by their deadline; mended, they are answered."""
    async with (
        serve(served, permissions=READ) as channel,
        Link(channel.address) as link,
    ):
        stub = CustomerServiceStub(channel.via(link.address))
        await stub.GetCustomer(ASK)
        link.half_open()
        view = await refusal(stub.GetCustomer(ASK, timeout=0.2))
        assert view.code is grpc.StatusCode.DEADLINE_EXCEEDED
        link.cut()
        assert (await refusal(stub.GetCustomer(ASK))).code is grpc.StatusCode.UNAVAILABLE
        link.mend()
        await stub.GetCustomer(ASK, wait_for_ready=True)
