"""X13 over real services: whatever is called, by whomever, is in the log exactly once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from centers.ark.app import BLUEPRINT as ARK
from centers.customer.app import BLUEPRINT as CUSTOMER
from centers.product.app import BLUEPRINT as PRODUCT
from centers.review.app import BLUEPRINT as REVIEW
from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import bus_pb2, bus_pb2_grpc, event_pb2, policy_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.product.v1 import product_pb2, product_pb2_grpc
from engine.review.v1 import review_pb2, review_pb2_grpc
from mesh import context
from mesh.bus.app import BLUEPRINT as BUS
from mesh.errors import ErrorView
from mesh.service import RIGHTS_OF_ALL
from mesh.storage import Store
from mesh.testing import Mesh
from mesh.tokens import WILDCARD
from sequencer.app import BLUEPRINT as SEQUENCER

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS: Final = "/engine.customer.v1.CustomerService/"
PRODUCTS: Final = "/engine.product.v1.ProductService/"
ARK_QUERY: Final = "/engine.ark.v1.ArkService/Query"
UNRECORDED: Final = CUSTOMERS + "GetCustomer"
PORTRAIT: Final = CUSTOMERS + "GetPortrait"
BEFORE_THE_ARK: Final = ("INVALID_ARGUMENT", "OUT_OF_SCOPE")
"""Why a portrait is refused without asking the Ark: all people may read customers."""
RECORDED: Final = ("ark", "customer", "product")
SCENE, TASK = 5, 77
EDGE: Final = "edge"
"""A service that calls for users; what it says of the chain is believed."""


Seen: TypeAlias = tuple[str, int, str, str]
"""Verb, customer, outcome and reason of a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who calls; his name is made anew for each run."""

    staff_id: int
    branch_id: int
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call: who asks what, of whom."""

    person: Person
    verb: str
    customer: str
    text: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """What is there: a customer of the manager's book, one of another branch, a product."""

    mesh: Mesh
    customers: dict[str, int]
    product_id: int

    def request(self, asked: Asked) -> Message:
        """What is sent; "nobody" and an empty text break the contract's rules."""
        given: dict[str, Any] = {"customer_id": self.customers[asked.customer]}
        match asked.verb.rpartition("/")[2]:
            case "CreateFollowUp":
                said = customer_pb2.FollowUp(summary=asked.text)
                return customer_pb2.CreateFollowUpRequest(
                    **given, follow_up=said, request_id=asked.request_id
                )
            case "CheckSuitability":
                product_id = self.product_id if asked.text else 404
                return product_pb2.CheckSuitabilityRequest(
                    **given, product_id=product_id, request_id=asked.request_id
                )
            case "SubmitProduct":
                return product_pb2.SubmitProductRequest(product_id=self.product_id)
            case name:
                module = customer_pb2 if asked.verb.startswith(CUSTOMERS) else product_pb2
                request: Message = getattr(module, f"{name}Request")(**given)
                return request


MANAGER: Final = Person(
    staff_id=7,
    branch_id=3,
    permissions=(
        "customer.read",
        "customer.follow_up",
        "ark.query",
        "product.read",
        "product.check",
    ),
)
PEOPLE: Final = (
    MANAGER,
    replace(MANAGER, staff_id=8, branch_id=4),
    replace(MANAGER, permissions=("customer.read",)),
)
VERBS: Final = (
    *(CUSTOMERS + name for name in ("GetCustomer", "GetPortrait", "CreateFollowUp")),
    CUSTOMERS + "ListFollowUps",
    *(PRODUCTS + name for name in ("ListShelf", "CheckSuitability", "SubmitProduct")),
)
CALLS: Final = st.lists(
    st.builds(
        Asked,
        person=st.sampled_from(PEOPLE),
        verb=st.sampled_from(VERBS),
        customer=st.sampled_from(("own", "own", "other", "nobody")),
        text=st.sampled_from(("spoke", "spoke", "")),
        request_id=st.sampled_from(("", "a", "b")),
    ),
    min_size=1,
    max_size=15,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank() -> AsyncIterator[Bank]:
    with TemporaryDirectory(prefix="engine-") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("loader", {"ark.import", "customer.import"})
            mesh.trust(EDGE, {WILDCARD})
            for blueprint in (SEQUENCER, ARK, CUSTOMER, PRODUCT, REVIEW):
                mesh.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
            for blueprint in (BUS, SEQUENCER, ARK, CUSTOMER, PRODUCT, REVIEW):
                await mesh.start(blueprint)
            customers = await _customers(mesh)
            product_id = await _product(mesh)
            yield Bank(mesh=mesh, customers=customers, product_id=product_id)


async def _customers(mesh: Mesh) -> dict[str, int]:
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
    loader = customer_pb2_grpc.CustomerServiceStub(mesh.channel("customer", caller="loader"))
    request = customer_pb2.ImportCustomersRequest()
    for token, owner, branch in ((own, 7, 3), (other, 9, 5)):
        request.customers.add(
            customer_id=token, tier=customer_pb2.TIER_AUM5, owner_id=owner, branch_id=branch
        )
    await loader.ImportCustomers(request)
    return {"own": own, "other": other, "nobody": 0}


async def _product(mesh: Mesh) -> int:
    rights = ("product.read", "product.write", "product.approve")
    maker, checker = (
        product_pb2_grpc.ProductServiceStub(
            mesh.channel("product", token=mesh.token(name, permissions=rights))
        )
        for name in ("maker", "checker")
    )
    product = product_pb2.Product(
        code="T-1",
        name="测试",
        product_class=product_pb2.PRODUCT_CLASS_FUND,
        issuer_risk=product_pb2.PRODUCT_RISK_R1,
        own_risk=product_pb2.PRODUCT_RISK_R1,
    )
    made = await maker.DraftProduct(product_pb2.DraftProductRequest(product=product))
    product_id = made.product.definition.definition_id
    await maker.SubmitProduct(product_pb2.SubmitProductRequest(product_id=product_id))
    await checker.ApproveProduct(product_pb2.ApproveProductRequest(product_id=product_id))
    return product_id


class Caller:
    """Calls as people of one run, and keeps what the log must have of it."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._run = uuid4().hex
        self._stubs: dict[tuple[Person, str], Any] = {}
        self._answered: set[tuple[str, str, bytes]] = set()
        self.expected: dict[Person, Counter[Seen]] = {}

    def name(self, person: Person) -> str:
        """The user's name in this run."""
        return f"{PEOPLE.index(person)}-{self._run}"

    async def call(self, asked: Asked) -> None:
        """Call, and learn from the answer what must be on record of it."""
        request: Any = self._bank.request(asked)
        try:
            await self._send(asked, request)
        except grpc.aio.AioRpcError as error:
            ending = ("REFUSED", ErrorView.from_rpc(error).reason)
        else:
            if self._is_repeated(asked, request):
                return
            ending = ("DONE", "")
        expected = self.expected.setdefault(asked.person, Counter())
        customer_id = getattr(request, "customer_id", 0)
        if asked.verb != UNRECORDED:
            expected[(asked.verb, customer_id, *ending)] += 1
        if asked.verb == PORTRAIT and ending[1] not in BEFORE_THE_ARK:
            expected[(ARK_QUERY, 0, *ending)] += 1  # the Ark keeps its own record

    def _is_repeated(self, asked: Asked, request: Message) -> bool:
        """Whether a call that was answered had its effect, and its record, before."""
        if not getattr(request, "request_id", ""):
            return False
        same = (self.name(asked.person), asked.verb, request.SerializeToString(deterministic=True))
        before = same in self._answered
        self._answered.add(same)
        return before

    async def _send(self, asked: Asked, request: Message) -> None:
        stub = self._stub(asked.person, asked.verb)
        with context.using(
            structs.replace(context.EMPTY, chain=ChainIds(scene_version=SCENE, task_id=TASK))
        ):
            await getattr(stub, asked.verb.rpartition("/")[2])(request)

    def _stub(self, person: Person, verb: str) -> Any:
        service = verb.split(".")[1]
        key = (person, service)
        if key not in self._stubs:
            token = self._bank.mesh.token(
                self.name(person),
                permissions=person.permissions,
                data_scope=policy_pb2.SCOPE_OWN_BOOK,
                staff_id=person.staff_id,
                branch_id=person.branch_id,
            )
            channel = self._bank.mesh.channel(service, token=token, caller=EDGE, purpose="service")
            stubs = {
                "customer": customer_pb2_grpc.CustomerServiceStub,
                "product": product_pb2_grpc.ProductServiceStub,
            }
            self._stubs[key] = stubs[service](channel)
        return self._stubs[key]


async def all_is_told(bank: Bank) -> None:
    """Return once every record is on the bus, and the review centre has it."""
    token = bank.mesh.token("op001", permissions={"bus.read"})
    bus = bus_pb2_grpc.BusServiceStub(bank.mesh.channel("bus", token=token))

    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(bank.mesh.store(name)) for name in RECORDED]
        while True:
            if not (await _untold(stores) or await _lag(bus)):
                return
            await asyncio.sleep(0.005)


async def _untold(stores: Sequence[Store]) -> bool:
    """Whether one has events that the bus does not have."""
    for store in stores:
        if await store.outbox.read(1):
            return True
    return False


async def _lag(bus: Any) -> int:
    """Records that the review centre does not have."""
    groups = (await bus.ListGroups(bus_pb2.ListGroupsRequest())).groups
    (log,) = (one for one in groups if one.topic == "audit")
    lag: int = log.lag
    return lag


async def records(auditor: Any, actor: str) -> Sequence[review_pb2.Behavior]:
    request = review_pb2.ListBehaviorsRequest(actor=actor, page_size=1_000)
    behaviors: Sequence[review_pb2.Behavior] = (await auditor.ListBehaviors(request)).behaviors
    return behaviors


def seen(record: event_pb2.AuditRecord) -> Seen:
    outcome = event_pb2.AuditOutcome.Name(record.outcome).removeprefix("AUDIT_OUTCOME_")
    return record.verb, record.customer_id, outcome, record.reason


@settings(max_examples=12)
@given(CALLS)
@example(
    [
        Asked(person=person, verb=verb, customer="own", text="spoke", request_id="a")
        for person in PEOPLE
        for verb in (*VERBS, *VERBS)
    ]
)
async def test_x13_a_run_of_calls_leaves_exactly_its_records(
    bank: Bank, calls: list[Asked]
) -> None:
    """Allowed, out of scope, without the right, broken, or sent again: each as it was answered."""
    caller = Caller(bank)
    for asked in calls:
        await caller.call(asked)
    await all_is_told(bank)
    token = bank.mesh.token(
        "auditor", permissions={"review.read", "review.audit"}, data_scope=policy_pb2.SCOPE_ALL
    )
    auditor = review_pb2_grpc.ReviewServiceStub(bank.mesh.channel("review", token=token))
    for person, expected in caller.expected.items():
        found = await records(auditor, caller.name(person))
        assert Counter(seen(one.record) for one in found) == expected
        for one in found:
            must_be_complete(one, person)
    checked = await auditor.CheckLog(review_pb2.CheckLogRequest())
    assert checked.broken_at == 0
    assert checked.entries >= sum(expected.total() for expected in caller.expected.values())


def must_be_complete(behavior: review_pb2.Behavior, person: Person) -> None:
    """Who, for which purpose, under which policy, as part of which chain."""
    record = behavior.record
    assert (record.staff_id, record.branch_id) == (person.staff_id, person.branch_id)
    assert record.purpose == "service"
    assert len(record.policy_version) == 12
    assert (record.chain.scene_version, record.chain.task_id) == (SCENE, TASK)
    assert behavior.source == record.verb.split(".")[1]
    assert record.caller == ("customer" if record.verb == ARK_QUERY else EDGE)
    assert record.HasField("time")
