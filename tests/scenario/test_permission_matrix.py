"""Who may call what: every method of every centre, as every role, on own and foreign rows.

The expectation is read from the contracts and the catalogue of roles; the outcome
from calls of a running platform. Nothing here names a method.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

import centers
from centers.identity.demo import PASSWORD, demo_users
from centers.identity.roles import ROLES, rights_of
from engine.action.v1 import action_pb2, action_pb2_grpc
from engine.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.identity.v1 import identity_pb2, identity_pb2_grpc
from engine.mesh.v1 import policy_pb2
from engine.performance.v1 import performance_pb2, performance_pb2_grpc
from engine.wecom.v1 import wecom_pb2, wecom_pb2_grpc
from loadtests.deployment import Platform
from mesh import contract
from mesh.blocking import blocking_channel
from mesh.channel import bearer, no_proofs
from mesh.clock import SystemClock
from mesh.context import Principal
from mesh.contract import Method
from mesh.errors import ErrorView
from mesh.registry import DirectoryRegistry
from tests.scenario.minimal import minimal, placed
from tests.scenario.rest import rest_request

CENTRES: Final = sorted(path.parent.name for path in Path(centers.__path__[0]).glob("*/app.py"))
NOTHING: Final = 999_999_999
"""Names no row: what may be called must not change what other tests stand on."""

SPARED: Final = frozenset({"DeleteSession", "RefreshSession", "ChangePassword"})
"""Methods that would end the very session that calls."""

ACTORS: Final = {
    "relationship-manager": "rm001",
    "branch-manager": "bm001",
    "direct-operations-agent": "do001",
    "head-office-operator": "hq",
    "compliance": "compliance",
    "administrator": "admin",
    "outreach-robot": "bot001",
    "event-source": "core",
}
"""A demo user who holds this role alone."""

_STATES: Final = (
    action_pb2.TASK_STATE_SUCCESS,
    action_pb2.TASK_STATE_NO_INTENT,
    action_pb2.TASK_STATE_UNSPECIFIED,
)

STRANGER: Final = "rm002"
"""Owns the foreign rows: another manager, of another branch."""


OWNERS: Final[Mapping[str, frozenset[str]]] = {
    "customer_id": frozenset({"rm001", "do001"}),
    "task_id": frozenset({"rm001", "do001", "bot001"}),
    "grant_id": frozenset({"rm001"}),
    "credit_id": frozenset({"rm001"}),
    "message_task_id": frozenset({"rm001"}),
    "staff_id": frozenset({"rm001", "do001", "bot001"}),
}
"""Whose rows there are of each kind, beside the stranger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One cell of the matrix: a method, by stub or by REST, as a role, on a row."""

    method: Method
    by: str
    role: str
    row: str

    def __str__(self) -> str:
        name = f"{self.method.service}/{self.method.name}"
        return f"{name} by {self.by} as {self.role or 'nobody'} on a row of {self.row}"


class World:
    """The platform, its users' tokens, and rows that belong to one of them."""

    def __init__(self, platform: Platform, stack: ExitStack) -> None:
        self._registry = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")
        self._stack = stack
        self._channels: dict[tuple[str, str], grpc.Channel] = {}
        self._tokens: dict[str, str] = {}
        (gateway,) = self._registry.lookup("gateway")
        self._rest = stack.enter_context(
            httpx.Client(base_url=f"http://{gateway.http}", timeout=10)
        )

    def channel(self, service: str, username: str) -> grpc.Channel:
        """A channel to a service as a user; as nobody without a name."""
        if (service, username) not in self._channels:
            proofs = bearer(self.token(username)) if username else no_proofs
            (entry,) = self._registry.lookup(service)
            opened = blocking_channel(f"unix:{entry.socket}", proofs)
            self._channels[service, username] = self._stack.enter_context(opened)
        return self._channels[service, username]

    def token(self, username: str) -> str:
        """The access token of a demo user."""
        if username not in self._tokens:
            identity = identity_pb2_grpc.IdentityServiceStub(self.channel("identity", ""))
            request = identity_pb2.CreateSessionRequest(username=username, password=PASSWORD)
            self._tokens[username] = identity.CreateSession(request).grant.access_token
        return self._tokens[username]

    def ask_by_stub(self, method: Method, username: str, request: Message) -> str:
        """The reason of the refusal; empty when the call was answered."""
        call = self.channel(_service_of(method), username).unary_unary(
            method.path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output).FromString,
        )
        purpose = (("x-engine-purpose", method.policy.purpose),) if method.policy.purpose else ()
        try:
            call(request, timeout=10, metadata=purpose)
        except grpc.RpcError as error:
            return ErrorView.from_rpc(error).reason
        return ""

    def ask_by_rest(self, method: Method, username: str, request: Message) -> str:
        """The same through the gateway."""
        asked = rest_request(method, request)
        headers = {"authorization": f"Bearer {self.token(username)}"} if username else {}
        if asked.body is not None:
            headers["content-type"] = "application/json"
        answer = self._rest.request(
            asked.verb,
            asked.path,
            params=asked.query,
            headers=headers,
            content=None if asked.body is None else json.dumps(asked.body),
        )
        return "" if answer.is_success else str(answer.json().get("reason", answer.status_code))

    @cached_property
    def rows(self) -> Mapping[str, Mapping[str, int]]:
        """Rows by scope field and by owner's username."""
        find = {
            "customer_id": self._customer,
            "task_id": self._task,
            "grant_id": self._grant,
            "credit_id": self._credit,
            "message_task_id": self._message,
            "staff_id": self._staff,
        }
        return {
            field: {name: find[field](name) for name in (*owners, STRANGER)}
            for field, owners in OWNERS.items()
        }

    def _staff(self, username: str) -> int:
        return _principal(username).staff_id

    def _customer(self, username: str) -> int:
        stub = customer_pb2_grpc.CustomerServiceStub(self.channel("customer", username))
        own = f"owner_id = {_principal(username).staff_id}"
        listing = customer_pb2.ListCustomersRequest(page_size=1, filter=own)
        return int(stub.ListCustomers(listing).customers[0].customer_id)

    def _task(self, username: str) -> int:
        return int(self._tasks(username)[0].task_id)

    def _tasks(self, username: str) -> Any:
        stub = action_pb2_grpc.TaskServiceStub(self.channel("action", username))
        for state in _STATES:
            request = action_pb2.ListMyTasksRequest(state=state, page_size=1_000)
            if found := stub.ListMyTasks(request).tasks:
                return found
        raise AssertionError(f"{username} has no task")

    def _grant(self, username: str) -> int:
        stub = benefits_pb2_grpc.BenefitsServiceStub(self.channel("benefits", username))
        for task in self._tasks(username):
            request = benefits_pb2.ListGrantsRequest(customer_id=task.customer_id)
            if grants := stub.ListGrants(request).grants:
                return int(grants[0].grant_id)
        raise AssertionError(f"no customer of {username} has a grant")

    def _credit(self, username: str) -> int:
        stub = performance_pb2_grpc.PerformanceServiceStub(self.channel("performance", username))
        request = performance_pb2.ListCreditsRequest(
            metric=performance_pb2.METRIC_NET_EXTERNAL_INFLOW
        )
        return int(stub.ListCredits(request).credits[0].credit_id)

    def _message(self, username: str) -> int:
        stub = wecom_pb2_grpc.WecomServiceStub(self.channel("wecom", username))
        found = stub.ListMyMessageTasks(wecom_pb2.ListMyMessageTasksRequest()).message_tasks
        return int(found[0].message_task_id)


@pytest.fixture(scope="module")
def world(platform: Platform, played: Mapping[str, Any]) -> Iterator[World]:
    """The platform after one run of the loop, so that there are rows of every kind."""
    assert played
    with ExitStack() as stack:
        yield World(platform, stack)


def methods() -> Iterator[Method]:
    """Every unary method of the centres' contracts."""
    for area in CENTRES:
        module = import_module(f"engine.{area}.v1.{area}_pb2")
        service: ServiceDescriptor
        for service in module.DESCRIPTOR.services_by_name.values():
            for descriptor in service.methods:
                method = contract.method(descriptor)
                if not method.server_streaming and method.name not in SPARED:
                    yield method


def cases() -> Iterator[Case]:
    """The matrix."""
    for method in methods():
        rows = ("his own", "others") if method.policy.scope_field else ("his own",)
        ways = ("stub", "REST") if method.http else ("stub",)
        for by, role, row in product(ways, ("", *ACTORS), rows):
            yield Case(method=method, by=by, role=role, row=row)


def test_every_role_is_tried() -> None:
    """A new role needs an actor here, unless it works no centre."""
    assert set(ROLES) - set(ACTORS) == {"service-robot", "load-tester"}


@pytest.mark.timeout(300)
def test_every_call_is_allowed_or_refused_as_the_contracts_say(world: World) -> None:
    """Method × role × own or foreign row; what differs is listed."""
    wrong, allowed, total = [], 0, 0
    for case in cases():
        total += 1
        expected, found = _expected(case), _found(world, case)
        allowed += expected == "allowed"
        if found != expected:
            wrong.append(f"{case}: {expected}, but {found}")
    assert wrong == []
    assert total > 2_000
    assert allowed > 300


def _expected(case: Case) -> str:
    """What contract and catalogue say."""
    policy = case.method.policy
    if policy.anonymous:
        return "allowed"
    if not case.role:
        return "unauthenticated"
    principal = _principal(ACTORS[case.role])
    if policy.internal or policy.permission not in principal.permissions:
        return "denied"
    if any(not principal.claim(binding.claim) for binding in policy.claims):
        return "denied"
    if policy.scope_field and not _in_reach(case, principal):
        return "out of scope"
    return "allowed"


def _in_reach(case: Case, principal: Principal) -> bool:
    scope = min(case.method.policy.scope, principal.data_scope)
    if scope == policy_pb2.SCOPE_ALL:
        return True
    owner = _owner(case)
    if scope == policy_pb2.SCOPE_BRANCH:
        return bool(owner.branch_id) and owner.branch_id == principal.branch_id
    return bool(owner.staff_id) and owner.staff_id == principal.staff_id


def _found(world: World, case: Case) -> str:
    """What the platform says; any other refusal shows that the call was let through.

    A call that fails on our side is neither.
    """
    method = case.method
    request: Any = minimal(method.input)
    if field := method.policy.scope_field:
        rows = world.rows[field]
        placed(request, field, rows[_owner_name(case, rows)])
    elif method.policy.object_field and not method.read_only:
        placed(request, method.policy.object_field, NOTHING)
    ask = world.ask_by_stub if case.by == "stub" else world.ask_by_rest
    reason = ask(method, ACTORS.get(case.role, ""), request)
    return {
        "PERMISSION_DENIED": "denied",
        "UNAUTHENTICATED": "unauthenticated",
        "OUT_OF_SCOPE": "out of scope",
        "INTERNAL": "failed",
    }.get(reason, "allowed")


def _owner_name(case: Case, rows: Mapping[str, int]) -> str:
    """Whose row is asked for."""
    if case.row == "others":
        return STRANGER
    own = ACTORS.get(case.role, "")
    return own if own in rows else "rm001"


def _owner(case: Case) -> Principal:
    own = ACTORS[case.role]
    rows = OWNERS[case.method.policy.scope_field]
    return _principal(STRANGER if case.row == "others" else own if own in rows else "rm001")


def _principal(username: str) -> Principal:
    """A demo user as his token says."""
    (user,) = (user for user in demo_users(SystemClock().now()) if user.username == username)
    assert rights_of(user.roles).permissions
    return user.principal("session")


def _service_of(method: Method) -> str:
    return method.service.split(".")[1]
