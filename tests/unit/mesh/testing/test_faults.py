"""Faults of served methods: real statuses through the real chain."""

from __future__ import annotations

import grpc
import pytest

from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.mesh.v1 import trust_pb2
from engine.mesh.v1.trust_pb2_grpc import TrustServiceStub
from mesh import (
    MeshError,
    MeshReason,
    Servicer,
)
from mesh.testing import Faults, serve
from tests.unit.mesh.testing.toys import (
    ASK,
    READ,
    TRUST,
    Ends,
    Toy,
    reason,
    refusal,
)


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
    error = MeshError(MeshReason.INTERNAL, "broken", retry_after_s=3)
    faults.fail("GetCustomer", error)
    async with serve(served, permissions=READ, faults=faults) as channel:
        stub = CustomerServiceStub(channel)
        for _ in range(3):
            view = await refusal(stub.GetCustomer(ASK))
            assert (view.message, view.retry_after_s) == ("broken", 3)
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
