"""Requests through the whole gateway to a service, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import OKPKey

from centers.customer.app import BLUEPRINT as CUSTOMER_CENTRE
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from gateway.app import BLUEPRINT
from gateway.errors import GatewayReason
from mesh.context import Principal, Scope, current
from mesh.errors import MeshError, MeshReason
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.testing import KEY_ID, Mesh
from mesh.tokens import sign_user

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMER = "/v1/customers/42"
FOLLOW_UPS = "/v1/customers/42/follow-ups"
MIGRATIONS = CUSTOMER_CENTRE.migrations
"""Calls that are audited need a database to be recorded in."""

MISSING, BROKEN, ENDLESS = 404, 500, 504
"""Customers that do not exist, break the service, or are never answered."""


class Customers:
    """Answers with what it was asked, so that tests see what arrived."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def GetCustomer(self, request: Any, context: Any) -> Any:
        if request.customer_id == MISSING:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        if request.customer_id == BROKEN:
            raise RuntimeError("the secret text of an exception")
        if request.customer_id == ENDLESS:
            await self._never()
        customer = customer_pb2.Customer(
            customer_id=request.customer_id, tier=customer_pb2.TIER_AUM20, has_wecom=True
        )
        return customer_pb2.GetCustomerResponse(customer=customer)

    async def ListCustomers(self, request: Any, context: Any) -> Any:
        asked = f"{request.page_size}|{request.filter}|{current().user}|{current().service}"
        return customer_pb2.ListCustomersResponse(next_page_token=asked)

    async def CreateFollowUp(self, request: Any, context: Any) -> Any:
        follow_up = customer_pb2.FollowUp(
            customer_id=request.customer_id,
            summary=request.follow_up.summary,
            next_step=request.request_id,
            etag="v1",
        )
        return customer_pb2.CreateFollowUpResponse(follow_up=follow_up)

    async def UpdateFollowUp(self, request: Any, context: Any) -> Any:
        follow_up = request.follow_up
        follow_up.next_step = ",".join(request.update_mask.paths)
        return customer_pb2.UpdateFollowUpResponse(follow_up=follow_up)

    def __getattr__(self, name: str) -> Any:
        async def unwritten(request: Any, context: Any) -> Any:
            raise MeshError(MeshReason.UNKNOWN_METHOD)

        return unwritten

    async def _never(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


async def everywhere(principal: Principal, scope: Scope, row: Any) -> bool:
    return True


@dataclass
class Edge:
    """A gateway with the service behind it, and a client."""

    mesh: Mesh
    http: httpx.AsyncClient
    customers: Customers

    def token(self, *permissions: str, ttl_s: float = 60) -> str:
        scope = policy_pb2.SCOPE_ALL
        return self.mesh.token("rm001", permissions=permissions, data_scope=scope, ttl_s=ttl_s)

    async def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> Any:
        if token is None:
            token = self.token("customer.read", "customer.follow_up")
        headers = {"authorization": f"Bearer {token}", **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge() -> AsyncIterator[Edge]:
    customers = Customers()
    contract = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]

    def build(_: Parts) -> Service:
        servicer = Servicer(descriptor=contract, implementation=customers)
        return Service(servicers=[servicer], scope_resolver=everywhere)

    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        async with Mesh(Path(folder), max_body_bytes=4096, sign_on_rate_per_s=1000.0) as mesh:
            mesh.trust("gateway", BLUEPRINT.rights)
            await mesh.start(Blueprint(name="customer", build=build, migrations=MIGRATIONS))
            app = await mesh.start(BLUEPRINT)
            async with httpx.AsyncClient(base_url=f"http://{app.entry.http}") as http:
                yield Edge(mesh, http, customers)


async def test_resource_is_answered(edge: Edge) -> None:
    """By its id, as the bare resource, with its 64-bit id as text, and never cached."""
    response = await edge.ask("GET", CUSTOMER)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {"customerId": "42", "tier": "TIER_AUM20", "hasWecom": True}


async def test_service_learns_the_user_and_that_the_gateway_calls(edge: Edge) -> None:
    """The token is passed on, and the gateway proves itself beside it."""
    response = await edge.ask("GET", "/v1/customers", params={"pageSize": 5, "filter": "tier = x"})
    assert response.json() == {"nextPageToken": "5|tier = x|rm001|gateway"}


async def test_body_path_and_header_make_one_request(edge: Edge) -> None:
    """And the resource's etag is that of the response."""
    response = await edge.ask(
        "POST", FOLLOW_UPS, json={"summary": "called"}, headers={"idempotency-key": "key-1"}
    )
    assert response.status_code == 200
    assert response.json() == {
        "customerId": "42",
        "summary": "called",
        "nextStep": "key-1",
        "etag": "v1",
    }
    assert response.headers["etag"] == '"v1"'


async def test_patch_says_what_to_change(edge: Edge) -> None:
    """From the body, and If-Match says on which version."""
    response = await edge.ask(
        "PATCH", f"{FOLLOW_UPS}/7", json={"summary": "x", "nextTime": None},
        headers={"if-match": '"v1"'},
    )  # fmt: skip
    found = response.json()
    assert (found["followUpId"], found["etag"]) == ("7", "v1")
    assert found["nextStep"] == "summary,next_time"


async def test_trace_is_continued_and_told(edge: Edge) -> None:
    """The trace of the client is that of the answer."""
    trace = "ab" * 16
    header = {"traceparent": f"00-{trace}-{'cd' * 8}-01"}
    response = await edge.ask("GET", CUSTOMER, headers=header)
    assert response.headers["x-trace-id"] == trace


async def test_head_is_answered_like_get_without_the_body(edge: Edge) -> None:
    """With its length."""
    got, head = await edge.ask("GET", CUSTOMER), await edge.ask("HEAD", CUSTOMER)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]


def is_problem(response: httpx.Response, status: int, reason: str) -> bool:
    """Whether a response is a problem of this kind that tells nothing of our insides."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["type"] == f"/docs/errors#{body['reason']}"
    assert body["trace_id"] == response.headers["x-trace-id"]
    assert {"title", "detail", "next_step"} <= body.keys()
    for telling in ("Traceback", 'File "', ".py", "secret text", "127.0.0.1", "unix:"):
        assert telling not in response.text
    return bool(body["reason"] == reason)


BAD_BODIES = {
    "no JSON": (b"{", GatewayReason.MALFORMED_JSON),
    "two documents": (b"{}{}", GatewayReason.MALFORMED_JSON),
    "trailing comma": (b'{"summary": "x",}', GatewayReason.MALFORMED_JSON),
    "no UTF-8": (b'{"summary": "\xff"}', GatewayReason.MALFORMED_JSON),
    "duplicate key": (b'{"summary": "a", "summary": "b"}', GatewayReason.MALFORMED_JSON),
    "too deep": (b'{"summary":' * 200 + b"1" + b"}" * 200, GatewayReason.MALFORMED_JSON),
    "both names": (b'{"nextStep": "a", "next_step": "b"}', GatewayReason.CONFLICTING_FIELD),
    "unknown field": (b'{"sumary": "x"}', GatewayReason.UNKNOWN_FIELD),
    "wrong type": (b'{"summary": 1}', GatewayReason.INVALID_FIELD),
    "no time": (b'{"nextTime": "tomorrow"}', GatewayReason.INVALID_FIELD),
    "a list": (b"[]", GatewayReason.INVALID_FIELD),
    "half a character": (b'{"summary": "\\ud800"}', GatewayReason.INVALID_FIELD),
}


@pytest.mark.parametrize(("body", "reason"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_bad_bodies_are_refused(edge: Edge, body: bytes, reason: GatewayReason) -> None:
    """With 400 and the reason, before the service hears of them."""
    response = await edge.ask(
        "POST", FOLLOW_UPS, content=body, headers={"content-type": "application/json"}
    )
    assert is_problem(response, 400, reason.name)


async def test_body_above_the_bound_is_refused(edge: Edge) -> None:
    """Whether or not its length is announced; the connection's framing is lost with it."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1024

    for content in (b"x" * 5000, chunks()):
        response = await edge.ask("POST", FOLLOW_UPS, content=content)
        assert response.status_code == 413
        assert response.json()["reason"] == "BODY_TOO_LARGE"
        assert response.headers["connection"] == "close"


BAD_REQUESTS = {
    "unknown path": ("GET", "/v1/nothing", {}, 404, "ROUTE_NOT_FOUND"),
    "internal method": ("POST", "/v1/customers:import", {}, 404, "ROUTE_NOT_FOUND"),
    "wrong method": ("DELETE", CUSTOMER, {}, 405, "METHOD_NOT_ALLOWED"),
    "form": ("POST", FOLLOW_UPS, {"data": {"summary": "x"}}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    "HTML wanted": ("GET", CUSTOMER, {"headers": {"accept": "text/html"}}, 406, "NOT_ACCEPTABLE"),
    "id of letters": ("GET", "/v1/customers/x", {}, 400, "INVALID_FIELD"),
    "id too large": ("GET", f"/v1/customers/{2**63}", {}, 400, "INVALID_FIELD"),
    "rule of the contract": ("GET", "/v1/customers/-1", {}, 400, "INVALID_ARGUMENT"),
    "unknown parameter": ("GET", CUSTOMER + "?x=1", {}, 400, "UNKNOWN_FIELD"),
    "path overridden": ("GET", CUSTOMER + "?customer_id=43", {}, 400, "CONFLICTING_FIELD"),
    "path overridden in JSON's name": (
        "GET", CUSTOMER + "?customerId=43", {}, 400, "CONFLICTING_FIELD",
    ),
    "body of GET": ("GET", CUSTOMER, {"content": b"{}"}, 400, "BODY_NOT_ALLOWED"),
    "dots in the path": ("GET", "/v1/customers/%2e%2e/x", {}, 400, "MALFORMED_URL"),
    "override header": (
        "POST", CUSTOMER, {"headers": {"x-http-method-override": "GET"}}, 405, "METHOD_NOT_ALLOWED",
    ),
    "no deadline": ("GET", CUSTOMER, {"headers": {"x-server-timeout": "x"}}, 400, "INVALID_HEADER"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
async def test_bad_requests_are_refused(
    edge: Edge, case: tuple[str, str, dict[str, Any], int, str]
) -> None:
    """Each with its own status and reason."""
    method, path, options, status, reason = case
    assert is_problem(await edge.ask(method, path, **options), status, reason)


def forged(edge: Edge, header: dict[str, str]) -> str:
    """The payload of a good token under another header, signed by nobody."""
    payload = edge.token("customer.read").split(".")[1]
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{encoded}.{payload}."


def wrongly_signed() -> str:
    principal = Principal(subject="rm001", permissions=frozenset({"customer.read"}))
    key = OKPKey.generate_key("Ed25519")
    return sign_user(principal, key, KEY_ID, issued=time.time(), ttl_s=60)


async def test_forged_tokens_are_refused(edge: Edge) -> None:
    """No algorithm, another one, another key, a changed payload, an unknown key."""
    header, payload, signature = edge.token("customer.read").split(".")
    changed = payload[:-2] + ("AA" if payload[-2:] != "AA" else "BB")
    for token in (
        forged(edge, {"alg": "none", "kid": KEY_ID}),
        forged(edge, {"alg": "HS256", "kid": KEY_ID}) + "c2lnbmF0dXJl",
        forged(edge, {"alg": "Ed25519", "kid": "unknown"}) + signature,
        wrongly_signed(),
        f"{header}.{changed}.{signature}",
        f"{header}.{payload}",
        "nonsense",
    ):
        response = await edge.ask("GET", CUSTOMER, token)
        assert is_problem(response, 401, "TOKEN_INVALID"), token
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_expired_token_is_refused(edge: Edge) -> None:
    """With a reason of its own, for the client to get a new one."""
    token = edge.token("customer.read", ttl_s=-60)
    assert is_problem(await edge.ask("GET", CUSTOMER, token), 401, "TOKEN_EXPIRED")


async def test_no_token_is_refused(edge: Edge) -> None:
    """Nothing is served to strangers that the contract does not open to them."""
    assert is_problem(await edge.http.get(CUSTOMER), 401, "UNAUTHENTICATED")


async def test_missing_permission_is_refused(edge: Edge) -> None:
    """Whatever else the user may do."""
    token = edge.token("customer.read")
    response = await edge.ask("POST", FOLLOW_UPS, token, json={"summary": "x"})
    assert is_problem(response, 403, "PERMISSION_DENIED")


async def test_error_of_the_service_is_shown_with_its_reason(edge: Edge) -> None:
    """In the language of the client."""
    response = await edge.ask(
        "GET", f"/v1/customers/{MISSING}", headers={"accept-language": "zh-CN"}
    )
    assert is_problem(response, 404, "OUT_OF_SCOPE")
    assert response.json()["title"] == "在您的权限范围内未找到该记录"


async def test_broken_rule_names_the_field(edge: Edge) -> None:
    """As the service's own check tells it."""
    response = await edge.ask("GET", "/v1/customers/0")
    assert response.json()["violations"] == [
        {"field": "customer_id", "description": "must be greater than 0"}
    ]


async def test_broken_service_is_an_incident(edge: Edge) -> None:
    """With an id for the operators and no word of what happened."""
    response = await edge.ask("GET", f"/v1/customers/{BROKEN}")
    assert is_problem(response, 500, "INTERNAL")
    assert response.json()["metadata"]["incident"]


@pytest.mark.parametrize(
    "header", [{"x-server-timeout": "0.05"}, {"grpc-timeout": "50m"}], ids=["seconds", "gRPC"]
)
async def test_client_decides_how_long_it_waits(edge: Edge, header: dict[str, str]) -> None:
    """Within what the contract allows."""
    response = await edge.ask("GET", f"/v1/customers/{ENDLESS}", headers=header)
    assert is_problem(response, 504, "DEADLINE_EXCEEDED")


async def test_client_that_leaves_cancels_the_call(edge: Edge) -> None:
    """The service stops working for nobody."""
    edge.customers.begun.clear()
    edge.customers.cancelled.clear()
    request = asyncio.create_task(edge.ask("GET", f"/v1/customers/{ENDLESS}"))
    async with asyncio.timeout(10):
        await edge.customers.begun.wait()
        request.cancel()
        await edge.customers.cancelled.wait()


async def test_openapi_describes_what_is_served(edge: Edge) -> None:
    """And what is internal is not even named."""
    response = await edge.http.get("/openapi.json")
    paths = response.json()["paths"]
    assert "/v1/customers/{customer_id}" in paths
    assert "ImportCustomers" not in response.text


async def test_documentation_is_served(edge: Edge) -> None:
    """With everything it loads."""
    for path in ("/docs", "/docs/errors", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"):
        response = await edge.http.get(path)
        assert response.status_code == 200
        assert response.content
