"""A service over real sockets and the real chain: who may call what, and what errors look like."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from msgspec import structs

from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import context_pb2, policy_pb2, trust_pb2, trust_pb2_grpc
from mesh import Blueprint, ErrorView, MeshError, MeshReason, Parts, Principal, Service, Servicer
from mesh import context as wire
from mesh.storage import Store
from mesh.telemetry import Telemetry
from mesh.testing import Mesh

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.Text))
OWN = policy_pb2.SCOPE_OWN_BOOK


@dataclass
class Toy:
    """Answers with what the chain told it. Customer 13 is unlucky, 14 is slow."""

    store: Store
    telemetry: Telemetry
    seen: list[wire.RequestContext] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def GetCustomer(self, request: Any, _: Any) -> Any:
        self.seen.append(wire.current())
        if request.customer_id == 13:
            raise ValueError("secret text 13800001111")
        if request.customer_id == 14:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return customer_pb2.GetCustomerResponse(
            customer=customer_pb2.Customer(customer_id=request.customer_id)
        )

    async def ListCustomers(self, request: Any, _: Any) -> Any:
        self.seen.append(wire.current())
        return customer_pb2.ListCustomersResponse()

    async def CreateFollowUp(self, request: Any, _: Any) -> Any:
        async with self.store.transaction() as tx:
            await tx.execute(sa.insert(NOTES), {"text": request.follow_up.summary})
            count = len(await tx.fetch_all(sa.select(NOTES)))
            response = customer_pb2.CreateFollowUpResponse(
                follow_up=customer_pb2.FollowUp(follow_up_id=count)
            )
            tx.answer(response)
        return response

    async def Query(self, request: Any, _: Any) -> Any:
        self.seen.append(wire.current())
        return ark_pb2.QueryResponse()

    async def WatchRevocations(self, request: Any, _: Any) -> AsyncIterator[Any]:
        yield trust_pb2.WatchRevocationsResponse()
        raise MeshError(MeshReason.OVERLOADED, retry_after_s=2)

    async def PollRevocations(self, request: Any, _: Any) -> Any:
        return trust_pb2.PollRevocationsResponse()

    async def GetKeySet(self, request: Any, _: Any) -> Any:
        return trust_pb2.GetKeySetResponse()

    GetPortrait = GetFollowUp = ListFollowUps = UpdateFollowUp = GetCustomer
    BatchGetCustomers = ImportCustomers = GetStatistics = GetCustomer

    async def in_scope(self, principal: Principal, scope: wire.Scope, row: int) -> bool:
        """Customers below 100 belong to whoever asks."""
        return scope >= OWN and row < 100


@pytest.fixture
async def toy(mesh: Mesh, var: Path) -> Toy:
    """The toy service, served as 'toy'."""
    made: list[Toy] = []

    def build(parts: Parts) -> Service:
        toy = Toy(parts.store, parts.telemetry)
        made.append(toy)
        services = (
            customer_pb2.DESCRIPTOR.services_by_name["CustomerService"],
            ark_pb2.DESCRIPTOR.services_by_name["ArkService"],
            trust_pb2.DESCRIPTOR.services_by_name["TrustService"],
        )
        servicers = [Servicer(descriptor=d, implementation=toy) for d in services]
        return Service(servicers=servicers, scope_resolver=toy.in_scope)

    revisions = var / "migrations" / "versions"
    revisions.mkdir(parents=True)
    (revisions / "0001_notes.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '0001', None, None, None\n"
        "def upgrade() -> None:\n    op.create_table('notes', sa.Column('text', sa.Text))\n"
    )
    mesh.trust("customer", {"ark.query"})
    mesh.trust("gateway", {"*"})
    await mesh.start(Blueprint(name="toy", build=build, migrations=revisions.parent))
    return made[0]


def rm_token(mesh: Mesh, subject: str = "rm001", ttl_s: float = 300) -> str:
    return mesh.token(
        subject,
        permissions={"customer.read", "customer.follow_up"},
        data_scope=OWN,
        staff_id=7,
        branch_id=1,
        ttl_s=ttl_s,
    )


def customers(mesh: Mesh, token: str = "", caller: str = "") -> Any:
    return customer_pb2_grpc.CustomerServiceStub(mesh.channel("toy", token=token, caller=caller))


def get(customer_id: int) -> customer_pb2.GetCustomerRequest:
    return customer_pb2.GetCustomerRequest(customer_id=customer_id)


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_a_handler_learns_who_asks_for_whom_and_until_when(mesh: Mesh, toy: Toy) -> None:
    """User, calling service, scope and deadline reach the handler."""
    token = rm_token(mesh)
    answer = await customers(mesh, token, caller="gateway").GetCustomer(get(1), timeout=1.5)
    assert answer.customer.customer_id == 1
    (seen,) = toy.seen
    assert (seen.user, seen.service, seen.actor, seen.scope) == ("rm001", "gateway", "rm001", OWN)
    assert seen.deadline is not None
    assert 0 < seen.deadline.remaining_s() < 1.7
    assert seen.token == token


async def test_nobody_is_refused_without_a_token(mesh: Mesh, toy: Toy) -> None:
    """No proof, no call."""
    error = await refusal(customers(mesh).GetCustomer(get(1)))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert not toy.seen


async def test_an_expired_and_a_broken_token_are_told_apart(mesh: Mesh, toy: Toy) -> None:
    """The caller learns whether to refresh or to sign on again."""
    expired = rm_token(mesh, ttl_s=-10)
    assert (await refusal(customers(mesh, expired).GetCustomer(get(1)))).reason == "TOKEN_EXPIRED"
    assert (await refusal(customers(mesh, "x.y.z").GetCustomer(get(1)))).reason == "TOKEN_INVALID"


async def test_a_header_that_is_no_bearer_token_is_refused(mesh: Mesh, toy: Toy) -> None:
    """Basic credentials are not accepted, and not ignored either."""
    call = customers(mesh).GetCustomer(get(1), metadata=(("authorization", "Basic eDp5"),))
    assert (await refusal(call)).reason == "TOKEN_INVALID"


async def test_a_missing_permission_is_named(mesh: Mesh, toy: Toy) -> None:
    """403, and which right to ask for."""
    token = mesh.token("hq", permissions={"ums.read"}, data_scope=policy_pb2.SCOPE_ALL)
    error = await refusal(customers(mesh, token).GetCustomer(get(1)))
    assert error.code is grpc.StatusCode.PERMISSION_DENIED
    assert error.metadata == {"permission": "customer.read"}


async def test_a_service_without_the_right_is_refused_even_for_a_user_who_has_it(
    mesh: Mesh, toy: Toy
) -> None:
    """Right = application's right ∩ user's right."""
    token = rm_token(mesh)
    call = customers(mesh, token, caller="customer").GetCustomer(get(1))
    assert (await refusal(call)).code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_gateway_alone_has_no_right(mesh: Mesh, toy: Toy) -> None:
    """Its wildcard counts on behalf of users only."""
    call = customers(mesh, caller="gateway").ListCustomers(customer_pb2.ListCustomersRequest())
    assert (await refusal(call)).code is grpc.StatusCode.PERMISSION_DENIED


async def test_an_internal_method_is_closed_to_users_and_to_the_gateway(
    mesh: Mesh, toy: Toy
) -> None:
    """Only a service that holds the right by name may call it."""
    token = mesh.token("rm001", permissions={"ark.query"})
    request = ark_pb2.QueryRequest(customer_ids=[1], fields=[ark_pb2.ARK_FIELD_NAME])
    for caller in ("", "gateway"):
        channel = mesh.channel("toy", token=token, caller=caller, purpose="service")
        error = await refusal(ark_pb2_grpc.ArkServiceStub(channel).Query(request))
        assert error.code is grpc.StatusCode.PERMISSION_DENIED
    channel = mesh.channel("toy", token=token, caller="customer", purpose="service")
    await ark_pb2_grpc.ArkServiceStub(channel).Query(request)
    assert toy.seen[-1].purpose == "service"


async def test_a_purpose_must_be_stated_where_the_contract_asks_for_it(
    mesh: Mesh, toy: Toy
) -> None:
    """Another purpose than the contract's is refused, and the message names it."""
    request = ark_pb2.QueryRequest(customer_ids=[1], fields=[ark_pb2.ARK_FIELD_NAME])
    for purpose in ("", "curiosity"):
        channel = mesh.channel("toy", caller="customer", purpose=purpose)
        error = await refusal(ark_pb2_grpc.ArkServiceStub(channel).Query(request))
        assert "purpose 'service'" in error.message


async def test_a_row_out_of_reach_looks_like_none(mesh: Mesh, toy: Toy) -> None:
    """Not found, the same answer as for a row that does not exist."""
    token = rm_token(mesh)
    error = await refusal(customers(mesh, token).GetCustomer(get(100)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "OUT_OF_SCOPE")


async def test_the_narrower_scope_holds(mesh: Mesh, toy: Toy) -> None:
    """A caller who may see all gets what the method allows; one who may see little gets that."""
    for data_scope, effective in (
        (policy_pb2.SCOPE_ALL, policy_pb2.SCOPE_BRANCH),
        (OWN, OWN),
        (policy_pb2.SCOPE_UNSPECIFIED, policy_pb2.SCOPE_UNSPECIFIED),
    ):
        token = mesh.token("x", permissions={"customer.read"}, data_scope=data_scope)
        await customers(mesh, token).ListCustomers(customer_pb2.ListCustomersRequest())
        assert toy.seen[-1].scope == effective


async def test_broken_rules_are_listed_field_by_field(mesh: Mesh, toy: Toy) -> None:
    """All violations at once, with paths; after the rights, before the row."""
    token = rm_token(mesh)
    request = customer_pb2.CreateFollowUpRequest(
        customer_id=-1, follow_up=customer_pb2.FollowUp(next_step="x" * 501)
    )
    error = await refusal(customers(mesh, token).CreateFollowUp(request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert {v.field for v in error.violations} == {"", "customer_id", "follow_up.next_step"}


async def test_bytes_that_are_no_message_are_refused(mesh: Mesh, toy: Toy) -> None:
    """A malformed request is the caller's error, not ours."""
    channel = mesh.channel("toy", token=rm_token(mesh))
    call = channel.unary_unary("/engine.customer.v1.CustomerService/GetCustomer")
    assert (await refusal(call(b"\xff\xff"))).reason == "MALFORMED_REQUEST"


async def test_a_business_date_that_is_none_is_refused(mesh: Mesh, toy: Toy) -> None:
    """It would go into events, and the bus takes none that holds one: all later ones would wait."""
    stub = customers(mesh, rm_token(mesh))
    request = customer_pb2.GetCustomerRequest(customer_id=7)
    for wrong in ("2026-11-231", "20261123", "2026-13-01", "today"):
        call = stub.GetCustomer(request, metadata=((wire.BUSINESS_DATE, wrong),))
        assert (await refusal(call)).reason == "MALFORMED_REQUEST"
    await stub.GetCustomer(request, metadata=((wire.BUSINESS_DATE, "2026-11-23"),))
    assert toy.seen[-1].business_date == "2026-11-23"


async def test_a_purpose_is_a_code(mesh: Mesh, toy: Toy) -> None:
    """It stands in the records of calls, for years: no number or name of a customer may."""
    stub = customers(mesh, rm_token(mesh))
    request = customer_pb2.GetCustomerRequest(customer_id=7)
    for wrong in ("call 13800001111", "13800001111", "Wang Xiaoming", "x" * 65):
        call = stub.GetCustomer(request, metadata=((wire.PURPOSE, wrong),))
        assert (await refusal(call)).reason == "MALFORMED_REQUEST"


async def test_an_unknown_method_is_unimplemented(mesh: Mesh, toy: Toy) -> None:
    """A client with a newer contract learns it at once."""
    channel = mesh.channel("toy")
    call = channel.unary_unary("/engine.customer.v1.CustomerService/Nothing")
    assert (await refusal(call(b""))).code is grpc.StatusCode.UNIMPLEMENTED


async def test_an_unexpected_failure_shows_an_incident_and_hides_its_text(
    mesh: Mesh, toy: Toy, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The text goes to the log under the incident id, never to the caller."""
    token = rm_token(mesh)
    with caplog.at_level(logging.CRITICAL):
        error = await refusal(customers(mesh, token).GetCustomer(get(13)))
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert len(error.metadata["incident"]) == 12
    assert "13800001111" not in error.message


async def test_a_slow_handler_is_ended_by_the_callers_deadline(mesh: Mesh, toy: Toy) -> None:
    """The caller hears of it in time and the handler is cancelled."""
    token = rm_token(mesh)
    error = await refusal(customers(mesh, token).GetCustomer(get(14), timeout=0.1))
    assert error.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(toy.cancelled.wait(), 5)


async def test_a_repeated_request_id_has_one_effect_and_one_answer(mesh: Mesh, toy: Toy) -> None:
    """Same id and body: same answer. Same id, other body: refused. No id: no deduplication."""
    stub = customers(mesh, rm_token(mesh))

    def create(text: str, request_id: str) -> Any:
        return stub.CreateFollowUp(
            customer_pb2.CreateFollowUpRequest(
                customer_id=1,
                follow_up=customer_pb2.FollowUp(summary=text),
                request_id=request_id,
            )
        )

    answers = await asyncio.gather(*(create("a", "one") for _ in range(10)))
    assert {answer.follow_up.follow_up_id for answer in answers} == {1}
    error = await refusal(create("b", "one"))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert (await create("a", "two")).follow_up.follow_up_id == 2
    assert (await create("a", "")).follow_up.follow_up_id == 3
    assert (await create("a", "")).follow_up.follow_up_id == 4


async def test_request_ids_of_two_users_do_not_meet(mesh: Mesh, toy: Toy) -> None:
    """One user's key neither blocks nor reveals another's answer."""
    for user, expected in (("rm001", 1), ("rm002", 2)):
        stub = customers(mesh, rm_token(mesh, user))
        answer = await stub.CreateFollowUp(
            customer_pb2.CreateFollowUpRequest(
                customer_id=1, follow_up=customer_pb2.FollowUp(summary="a"), request_id="same"
            )
        )
        assert answer.follow_up.follow_up_id == expected


async def test_a_stream_that_fails_ends_with_its_error(mesh: Mesh, toy: Toy) -> None:
    """What was sent arrives, then the status with its details."""
    mesh.trust("customer", {"trust.watch"})
    mesh.trust("toy2", {"trust.watch"})
    channel = mesh.channel("toy", caller="toy")
    stub = trust_pb2_grpc.TrustServiceStub(channel)
    stream = stub.WatchRevocations(trust_pb2.WatchRevocationsRequest())
    assert await stream.read() == trust_pb2.WatchRevocationsResponse()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stream.read()
    view = ErrorView.from_rpc(failed.value)
    assert (view.reason, view.retry_after_s) == ("OVERLOADED", 2)


async def test_an_anonymous_method_needs_no_token_and_minds_no_bad_one(
    mesh: Mesh, toy: Toy
) -> None:
    """Keys can be fetched by anybody, also with an expired token at hand."""
    for token in ("", mesh.token("rm001", ttl_s=-10)):
        stub = trust_pb2_grpc.TrustServiceStub(mesh.channel("toy", token=token))
        await stub.GetKeySet(trust_pb2.GetKeySetRequest())


async def test_calls_are_counted_with_their_codes(mesh: Mesh, toy: Toy) -> None:
    """Refused calls are counted like served ones."""
    stub = customers(mesh, rm_token(mesh))
    await stub.GetCustomer(get(1))
    await refusal(stub.GetCustomer(get(100)))
    path = "/engine.customer.v1.CustomerService/GetCustomer"
    meters = toy.telemetry.meters
    assert meters.call("server", path, "OK").count == 1
    assert meters.call("server", path, "NOT_FOUND").count == 1


async def test_health_and_reflection_are_served_to_any_grpc_client(mesh: Mesh, toy: Toy) -> None:
    """A stock client, without our channel or any token."""
    address = mesh.registry.lookup("toy")[0].address
    async with grpc.aio.insecure_channel(address) as channel:
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in stub.ServerReflectionInfo(iter([request])):
            names = {service.name for service in answer.list_services_response.service}
    assert "engine.customer.v1.CustomerService" in names


async def test_calls_in_flight_beyond_the_bound_are_refused(mesh: Mesh, var: Path) -> None:
    """The bound of one call at once holds; the second is told to come back."""
    running = asyncio.Event()

    class Slow(trust_pb2_grpc.TrustServiceServicer):
        async def GetKeySet(self, request: Any, _: Any) -> Any:
            running.set()
            await asyncio.Event().wait()

        async def PollRevocations(self, request: Any, _: Any) -> Any:
            return trust_pb2.PollRevocationsResponse()

        async def WatchRevocations(self, request: Any, _: Any) -> AsyncIterator[Any]:
            yield trust_pb2.WatchRevocationsResponse()

    descriptor = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]
    servicers = [Servicer(descriptor=descriptor, implementation=Slow())]
    blueprint = Blueprint(name="slow", build=lambda _: Service(servicers=servicers))
    await mesh.start(blueprint, max_in_flight=1)
    stub = trust_pb2_grpc.TrustServiceStub(mesh.channel("slow"))
    first = asyncio.ensure_future(stub.GetKeySet(trust_pb2.GetKeySetRequest()))
    await running.wait()
    # It has no time to come back: the service asks to wait for a second.
    error = await refusal(stub.GetKeySet(trust_pb2.GetKeySetRequest(), timeout=0.9))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize(("caller", "believed"), [("gateway", 7), ("", 0)])
async def test_the_chain_of_a_call_is_believed_of_services_alone(
    mesh: Mesh, toy: Toy, caller: str, believed: int
) -> None:
    """A client outside the mesh cannot put his call into somebody's chain."""
    claimed = structs.replace(wire.EMPTY, chain=context_pb2.ChainIds(task_id=7))
    with wire.using(claimed):
        await customers(mesh, rm_token(mesh), caller).GetCustomer(get(1))
    assert toy.seen[-1].chain.task_id == believed
