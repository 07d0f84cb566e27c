"""Calls of the customer centre over real sockets, and their records on the real bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio

from centers.ark.app import BLUEPRINT as ARK
from centers.customer.app import BLUEPRINT as CUSTOMER
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import bus_pb2, policy_pb2
from engine.mesh.v1.event_pb2 import (
    AUDIT_OUTCOME_DONE,
    AUDIT_OUTCOME_REFUSED,
    AuditRecord,
)
from mesh.bus.app import BLUEPRINT as BUS
from mesh.events import RemoteBus
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

RM, BRANCH, OTHER_BRANCH = 7, 3, 4
PATH: Final = "/engine.customer.v1.CustomerService/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One customer of the relationship manager, and one of another branch."""

    own: int
    other: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh() -> AsyncIterator[Mesh]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("loader", {"ark.import", "customer.import"})
            mesh.trust("review", {"bus.consume"})
            for blueprint in (ARK, CUSTOMER):
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            for blueprint in (BUS, SEQUENCER, ARK, CUSTOMER):
                await mesh.start(blueprint)
            yield mesh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def book(mesh: Mesh) -> Book:
    ark = ark_pb2_grpc.ArkServiceStub(mesh.channel("ark", caller="loader"))
    people = [
        ark_pb2.CustomerRecord(
            cif=f"100000000{number}",
            name="王小明",
            phone=f"1380000000{number}",
            id_card=f"33010219900101000{number}",
        )
        for number in (1, 2)
    ]
    answer = await ark.ImportCustomers(ark_pb2.ImportCustomersRequest(records=people))
    own, other = (token.customer_id for token in answer.tokens)
    customers = [
        customer_pb2.Customer(
            customer_id=token, tier=customer_pb2.TIER_AUM5, owner_id=owner, branch_id=branch
        )
        for token, owner, branch in ((own, RM, BRANCH), (other, 8, OTHER_BRANCH))
    ]
    loader = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    await loader.ImportCustomers(customer_pb2.ImportCustomersRequest(customers=customers))
    return Book(own=own, other=other)


def manager(mesh: Mesh, *permissions: str) -> Any:
    """The customer centre's stub, as a relationship manager calls it for a service to customers."""
    token = mesh.token(
        "rm001",
        permissions=permissions or {"customer.read", "customer.follow_up", "ark.query"},
        data_scope=policy_pb2.SCOPE_OWN_BOOK,
        staff_id=RM,
        branch_id=BRANCH,
    )
    channel = mesh.channel("customer", token=token, purpose="service")
    return customer_pb2_grpc.CustomerServiceStub(channel)


class Reader:
    """Takes the customer centre's records off the bus as a group of its own."""

    def __init__(self, mesh: Mesh, group: str) -> None:
        self._bus = RemoteBus(mesh.channel("bus", caller="review"))
        self._request = bus_pb2.PollRequest(group=group, topic="audit", member="one")
        self._request.wait.seconds = 10

    async def until(self, verb: str, count: int) -> list[AuditRecord]:
        """Records of a method by rm001, as soon as there are `count` of them."""
        found: list[AuditRecord] = []
        while len(found) < count:
            answer = await self._bus.poll(self._request)
            assert answer.events, f"{len(found)} records of {count} came"
            self._request.settled.position = answer.events[-1].position
            records = (AuditRecord.FromString(one.event.payload) for one in answer.events)
            found += [one for one in records if one.verb == PATH + verb and one.actor == "rm001"]
        return found


async def refused(call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await call


def portrait(customer_id: int) -> customer_pb2.GetPortraitRequest:
    return customer_pb2.GetPortraitRequest(customer_id=customer_id)


async def test_every_look_at_a_customer_is_on_the_bus(mesh: Mesh, book: Book) -> None:
    """A portrait shown, one of another branch, and one without the right: in their order."""
    await manager(mesh).GetPortrait(portrait(book.own))
    await refused(manager(mesh).GetPortrait(portrait(book.other)))
    await refused(manager(mesh, "other.right").GetPortrait(portrait(book.own)))
    records = await Reader(mesh, "looks").until("GetPortrait", 3)
    assert [(one.outcome, one.reason, one.customer_id) for one in records] == [
        (AUDIT_OUTCOME_DONE, "", book.own),
        (AUDIT_OUTCOME_REFUSED, "OUT_OF_SCOPE", book.other),
        (AUDIT_OUTCOME_REFUSED, "PERMISSION_DENIED", book.own),
    ]
    assert {(one.purpose, one.staff_id, one.branch_id) for one in records} == {
        ("service", RM, BRANCH)
    }


async def test_a_follow_up_is_recorded_once_for_each_request(mesh: Mesh, book: Book) -> None:
    """Sent three times under one id and once under another: two effects, two records."""
    for request_id in ("a", "a", "a", "b"):
        request = customer_pb2.CreateFollowUpRequest(
            customer_id=book.own,
            follow_up=customer_pb2.FollowUp(summary="spoke"),
            request_id=request_id,
        )
        await manager(mesh).CreateFollowUp(request)
    await refused(
        manager(mesh).CreateFollowUp(customer_pb2.CreateFollowUpRequest(customer_id=book.own))
    )
    records = await Reader(mesh, "follow-ups").until("CreateFollowUp", 3)
    assert [one.reason for one in records] == ["", "", "INVALID_ARGUMENT"]
    assert {one.object for one in records} == {f"customer_id={book.own}"}


async def test_records_hold_no_personal_data(mesh: Mesh, book: Book) -> None:
    """Nor do those of the import and of the Ark, which have seen it."""
    bus = RemoteBus(mesh.channel("bus", caller="review"))
    request = bus_pb2.PollRequest(group="privacy", topic="audit", member="one")
    request.wait.seconds = 10
    sources: set[str] = set()
    while not sources >= {"ark", "customer"}:
        answer = await bus.poll(request)
        assert answer.events, f"records came of {sources} alone"
        request.settled.position = answer.events[-1].position
        sources |= {one.event.source for one in answer.events}
        everything = answer.SerializeToString()
        for secret in ("王小明", "1380000000", "33010219900101"):
            assert secret.encode() not in everything
