"""The whole platform: what a user sees over REST, through all services."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from loadtests.deployment import Platform
from mesh.blocking import blocking_channel
from mesh.channel import bearer
from mesh.errors import ErrorView
from mesh.registry import DirectoryRegistry, Entry

ROOT = Path(__file__).parents[2]


def entry(platform: Platform, service: str) -> Entry:
    registry = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")
    return registry.lookup(service)[0]


def serving(platform: Platform, service: str) -> bool:
    registry = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")
    return bool(registry.lookup(service))


def sign_on(rest: httpx.Client, username: str) -> str:
    answer = rest.post("/v1/sessions", json={"username": username, "password": "engine-demo"})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["accessToken"]
    return token


@pytest.fixture
def rest(platform: Platform) -> Iterator[httpx.Client]:
    """A client of the gateway without a token."""
    with httpx.Client(base_url=f"http://{entry(platform, 'gateway').http}", timeout=10) as client:
        yield client


@pytest.fixture
def rm(rest: httpx.Client) -> httpx.Client:
    """A client that is signed on as rm001."""
    rest.headers["authorization"] = f"Bearer {sign_on(rest, 'rm001')}"
    return rest


def test_the_demo_shows_what_it_promises(platform: Platform) -> None:
    """All seven steps and the trace through gateway, customer centre and Ark."""
    done = subprocess.run(
        [ROOT / ".venv/bin/engine", "demo"],
        env=dict(platform.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for found in (
        r"signs on .* token good for 300 s",
        r"opens his book .* 20 customers",
        r"reads a portrait.*\*\*  1\d\d\*\*\*\*\d{4}",
        r"over REST .*follow-up \d+ by rm001",
        r"generated stub .*follow-up \d+ by rm001",
        r"another branch's customer .*404",
        r"1,000,000 ids .* M ids/s",
        r"gateway · HTTP GET /v1/customers/\{customer_id\}/portrait",
        r"customer · engine.customer.v1.CustomerService/GetPortrait",
        r"ark · engine.ark.v1.ArkService/Query",
        r"ark · sql SELECT customer",
    ):
        assert re.search(found, done.stdout), f"{found} not in\n{done.stdout}"


def test_a_relationship_manager_sees_his_own_book_alone(rm: httpx.Client) -> None:
    """Page by page, every customer is his; another's is not found, as one that does not exist.

    Of some, whom others own, he has a share, once the demo loop was played.
    """
    books: list[set[str]] = []
    token = ""
    for _ in range(3):
        page = rm.get("/v1/customers", params={"page_size": 40, "page_token": token}).json()
        books += [{share["staffId"] for share in each["shares"]} for each in page["customers"]]
        token = page["nextPageToken"]
    assert len(set.intersection(*books)) == 1
    with httpx.Client(base_url=rm.base_url) as other:
        other.headers["authorization"] = f"Bearer {sign_on(other, 'rm002')}"
        theirs = other.get("/v1/customers", params={"page_size": 1}).json()["customers"][0]
    foreign = rm.get(f"/v1/customers/{theirs['customerId']}")
    missing = rm.get("/v1/customers/1")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["reason"] == missing.json()["reason"] == "OUT_OF_SCOPE"
    assert foreign.json()["detail"] == missing.json()["detail"]


def test_follow_ups_are_written_once_changed_by_mask_and_guarded_by_etag(rm: httpx.Client) -> None:
    """REST with Idempotency-Key, If-Match and PATCH."""
    customer = rm.get("/v1/customers", params={"page_size": 1}).json()["customers"][0]
    path = f"/v1/customers/{customer['customerId']}/follow-ups"
    key = {"Idempotency-Key": "once-only"}
    first = rm.post(path, json={"summary": "called", "nextStep": "wait"}, headers=key)
    again = rm.post(path, json={"summary": "called", "nextStep": "wait"}, headers=key)
    assert first.status_code == 200
    assert again.json() == first.json()
    other = rm.post(path, json={"summary": "not the same"}, headers=key)
    assert (other.status_code, other.json()["reason"]) == (409, "REQUEST_ID_REUSED")
    one = f"{path}/{first.json()['followUpId']}"
    etag = rm.get(one).headers["etag"]
    changed = rm.patch(one, json={"summary": "called twice"}, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert (changed.json()["summary"], changed.json()["nextStep"]) == ("called twice", "wait")
    stale = rm.patch(one, json={"summary": "too late"}, headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["reason"]) == (409, "ETAG_MISMATCH")


def list_for_ever(stub: customer_pb2_grpc.CustomerServiceStub) -> None:
    while True:
        stub.ListCustomers(customer_pb2.ListCustomersRequest())


BAD = [
    ("GET", "/v1/customers/1", None, {"authorization": ""}, 401, "UNAUTHENTICATED"),
    ("GET", "/v1/customers/1", None, {"authorization": "Bearer x.y.z"}, 401, "TOKEN_INVALID"),
    ("GET", "/v1/customers/abc", None, {}, 400, None),
    ("GET", "/v1/customers?page_size=many", None, {}, 400, None),
    ("GET", "/v1/customers?unknown=1", None, {}, 400, None),
    ("GET", "/v1/customers?filter=tier%20%3E%3E%201", None, {}, 400, None),
    ("GET", "/v1/nothing", None, {}, 404, "ROUTE_NOT_FOUND"),
    ("DELETE", "/v1/customers", None, {}, 405, "METHOD_NOT_ALLOWED"),
    ("GET", "/v1/users", None, {}, 403, "PERMISSION_DENIED"),
    ("POST", "/v1/sessions", b"{", {}, 400, None),
    ("POST", "/v1/sessions", b'{"username": 5}', {}, 400, None),
    ("POST", "/v1/sessions", b'{"user": "x"}', {}, 400, None),
    ("POST", "/v1/sessions", b'{"username": "x", "password": ""}', {}, 400, "INVALID_ARGUMENT"),
    ("POST", "/v1/sessions", b" " * (5 << 20), {}, 413, None),
    ("POST", "/v1/sessions", b"a=b", {"content-type": "text/plain"}, 415, None),
    ("POST", "/v1/sessions", b'{"username": "rm001", "password": "no"}', {}, 401, None),
]


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [(row[:4], *row[4:]) for row in BAD],
    ids=[f"{row[0]} {row[1]} {row[2][:20] if row[2] else ''!r} {row[4]}" for row in BAD],
)
def test_bad_input_is_told_apart_and_told_how_to_mend(
    rm: httpx.Client,
    request_: tuple[str, str, bytes | None, dict[str, str]],
    status: int,
    reason: str | None,
) -> None:
    """Status, reason, a sentence and a next step; never a stack trace."""
    method, path, body, headers = request_
    given = {"content-type": "application/json", **headers}
    answer = rm.request(method, path, content=body, headers=given)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert reason is None or problem["reason"] == reason
    assert problem["detail"]
    assert problem["title"]
    assert "Traceback" not in answer.text


def test_problems_speak_chinese_when_asked(rm: httpx.Client) -> None:
    """Accept-Language chooses the title."""
    answer = rm.get("/v1/customers/1", headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert answer.json()["title"] == "在您的权限范围内未找到该记录"


def test_signing_out_ends_the_token_everywhere(platform: Platform, rest: httpx.Client) -> None:
    """Gateway and services refuse it, over REST and by stub."""
    token = sign_on(rest, "bm001")
    mine = {"authorization": f"Bearer {token}"}
    assert rest.get("/v1/me", headers=mine).json()["username"] == "bm001"
    assert rest.post("/v1/sessions:signOut", json={}, headers=mine).status_code == 200
    address = entry(platform, "customer").address
    with blocking_channel(address, bearer(token)) as channel:
        stub = customer_pb2_grpc.CustomerServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list_for_ever(stub)  # the end is pushed; the test's time-out bounds the wait
    assert ErrorView.from_rpc(refused.value).reason == "SESSION_ENDED"
    assert rest.get("/v1/me", headers=mine).json()["reason"] == "SESSION_ENDED"


def test_a_killed_service_comes_back_with_what_it_accepted(
    platform: Platform, rm: httpx.Client
) -> None:
    """kill -9 of customer centre and sequencer: follow-ups are there, and no id comes twice."""
    customer = rm.get("/v1/customers", params={"page_size": 1}).json()["customers"][0]
    path = f"/v1/customers/{customer['customerId']}/follow-ups"
    written = {rm.post(path, json={"summary": "before"}).json()["followUpId"]}
    for service in ("customer", "sequencer"):
        before = entry(platform, service)
        os.kill(before.pid, signal.SIGKILL)
        while True:  # the test's time-out bounds the wait
            answer = rm.post(path, json={"summary": f"after {service}"})
            if answer.status_code == 200:
                break
            assert answer.status_code in (502, 503, 504), answer.text
        written.add(answer.json()["followUpId"])
        while not serving(platform, service):
            pass  # leave the platform whole to other tests
    assert len(written) == 3
    page = rm.get(path, params={"page_size": 1000}).json()["followUps"]
    assert written <= {follow_up["followUpId"] for follow_up in page}
    assert len({follow_up["followUpId"] for follow_up in page}) == len(page)


def test_metrics_are_exposed_for_prometheus(platform: Platform, rm: httpx.Client) -> None:
    """Calls of all services stand at one endpoint, soon after they happened."""
    url = f"http://{entry(platform, 'ums').http}/metrics"
    rm.get("/v1/customers")
    wanted = 'rpc_method="engine.customer.v1.CustomerService/ListCustomers"'
    while wanted not in httpx.get(url).text:
        pass  # exported every few seconds; the test's time-out bounds the wait


def test_the_documentation_needs_no_other_host(rest: httpx.Client) -> None:
    """OpenAPI names every route, and the page loads nothing from elsewhere."""
    document = rest.get("/openapi.json").json()
    assert "/v1/customers/{customer_id}/portrait" in json.dumps(document["paths"])
    page = rest.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert not re.search(r'(src|href)="(https?:)?//', page.text)
