"""The sequencer's methods over REST, through the gateway, as their annotations have it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from engine.mesh.v1 import policy_pb2
from gateway.app import BLUEPRINT as GATEWAY
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

pytestmark = pytest.mark.asyncio(loop_scope="module")

RIGHTS = {"read", "create", "lease", "operate", "reserve", "void"}


@dataclass
class Rest:
    """A client of the gateway, signed on as somebody who may do everything with sequences."""

    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def create(self, name: str, **settings: Any) -> Any:
        return await self.ask("POST", "/v1/sequences", json={"name": name, **settings})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest() -> AsyncIterator[Rest]:
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        async with Mesh(Path(folder)) as mesh:
            mesh.trust("gateway", GATEWAY.rights)
            await mesh.start(BLUEPRINT)
            app = await mesh.start(GATEWAY)
            token = mesh.token(
                "ops",
                permissions={f"sequencer.{right}" for right in RIGHTS},
                data_scope=policy_pb2.SCOPE_ALL,
            )
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(
                base_url=f"http://{app.entry.http}", headers=headers
            ) as http:
                yield Rest(http)


async def test_a_sequence_is_created_read_and_listed(rest: Rest) -> None:
    """The bare resource, 64-bit numbers as text, an unset one left out."""
    made = await rest.create("rest.order", start="-5", minValue=-5, maxValue="100")

    assert (made["start"], made["minValue"], made["maxValue"]) == ("-5", "-5", "100")
    assert (made["kind"], made["state"]) == ("SEQUENCE_KIND_SEGMENT", "SEQUENCE_STATE_ACTIVE")
    assert "daysLeft" not in made
    assert await rest.ask("GET", "/v1/sequences/rest.order") == made
    first = await rest.ask("GET", "/v1/sequences", params={"pageSize": 1})
    assert len(first["sequences"]) == 1


async def test_a_range_is_leased_with_its_witness_and_returned(rest: Rest) -> None:
    """The witness of the answer goes into the next request as it came."""
    await rest.create("rest.lease")
    ask = {"clientId": "a", "size": "10"}
    path = "/v1/sequences/rest.lease"

    held = await rest.ask("POST", f"{path}:lease", json=ask)
    more = await rest.ask("POST", f"{path}:lease", json={**ask, "last": held["witness"]})
    back = {
        "clientId": "a",
        "leaseNumber": more["leaseNumber"],
        "mark": more["witness"]["mark"],
        "used": 4,
    }

    assert (held["first"], held["size"], held["clientId"]) == ("1", "10", "ops/a")
    assert more["first"] == "11"
    assert await rest.ask("POST", f"{path}:return", json=back) == {"returned": "6"}


async def test_a_lease_of_the_wrong_kind_is_a_problem(rest: Rest) -> None:
    """With its reason, and what to do."""
    await rest.create("rest.gapless", kind="SEQUENCE_KIND_GAPLESS")
    ask = {"clientId": "a", "size": 1}
    problem = await rest.ask("POST", "/v1/sequences/rest.gapless:lease", 400, json=ask)
    assert problem["reason"] == "KIND_MISMATCH"


async def test_the_log_is_asked_by_query_parameters(rest: Rest) -> None:
    """An optional number that may be 0 or below, times, and a list of actions."""
    await rest.create("rest.audit", start=-1, minValue=-1)
    await rest.ask("POST", "/v1/sequences/rest.audit:lease", json={"clientId": "a", "size": 5})
    path = "/v1/sequences/rest.audit/leases"

    async def leases(**params: Any) -> list[str]:
        found = await rest.ask("GET", path, params=params)
        return [entry["action"].removeprefix("LEASE_ACTION_") for entry in found.get("leases", ())]

    assert await leases() == ["GRANTED", "CREATED"]
    assert await leases(id="-1") == await leases(id=0) == ["GRANTED"]
    assert await leases(id=4) == []
    assert await leases(fromTime="2020-01-01T00:00:00Z", caller="ops") == ["GRANTED", "CREATED"]
    assert await leases(untilTime="2020-01-01T08:00:00+08:00") == []
    assert await leases(actions=["LEASE_ACTION_CREATED", "LEASE_ACTION_FENCED"]) == ["CREATED"]


async def test_usage_is_asked_for_a_time(rest: Rest) -> None:
    """Of the last day when none is named."""
    await rest.create("rest.usage")
    await rest.ask("POST", "/v1/sequences/rest.usage:lease", json={"clientId": "a", "size": 5})
    path = "/v1/sequences/rest.usage/usage"
    past = {"fromTime": "2020-01-01T00:00:00Z", "untilTime": "2020-01-02T00:00:00.5Z"}

    (line,) = (await rest.ask("GET", path))["usage"]

    assert (line["caller"], line["granted"]) == ("ops", "5")
    assert (await rest.ask("GET", path, params=past)).get("usage", []) == []
    refused = await rest.ask("GET", path, 400, params={"fromTime": "yesterday"})
    assert "fromTime" in str(refused) or "from_time" in str(refused)


async def test_callers_are_changed_with_the_etag_of_what_was_read(rest: Rest) -> None:
    """Who changes something that another changed meanwhile is refused."""
    made = await rest.create("rest.callers")
    changed = {"callers": [{"name": "ops", "dailyQuota": "9"}], "etag": made["etag"]}
    path = "/v1/sequences/rest.callers"
    mask = {"updateMask": "callers"}

    after = await rest.ask("PATCH", path, json=changed, params=mask)
    await rest.ask("PATCH", path, 409, json=changed, params=mask)

    assert after["callers"] == [{"name": "ops", "dailyQuota": "9"}]
    assert after["retentionDays"] == made["retentionDays"]


async def test_a_sequence_is_renamed_drained_retired_and_fenced(rest: Rest) -> None:
    """The methods behind a colon; both names lead to it."""
    await rest.create("rest.old")
    path = "/v1/sequences/rest.old"

    renamed = await rest.ask("POST", f"{path}:rename", json={"newName": "rest.new"})
    fenced = await rest.ask("POST", f"{path}:fence", json={"atLeast": "500"})
    drained = await rest.ask(
        "POST", "/v1/sequences/rest.new:setState", json={"state": "SEQUENCE_STATE_DRAINING"}
    )

    assert renamed["name"] == "rest.new"
    assert (fenced["nextValue"], fenced["epoch"]) == ("501", "1")
    assert drained["state"] == "SEQUENCE_STATE_DRAINING"
    refused = {"clientId": "a", "size": 1}
    problem = await rest.ask("POST", f"{path}:lease", 400, json=refused)
    assert problem["reason"] == "SEQUENCE_CLOSED"


async def test_numbers_are_reserved_confirmed_and_reported(rest: Rest) -> None:
    """A duration in the body, and the report by business date."""
    await rest.create("rest.invoice", kind="SEQUENCE_KIND_GAPLESS")
    path = "/v1/sequences/rest.invoice"

    ask = {"count": 2, "ttl": "90s", "clientId": "a"}
    held = await rest.ask("POST", f"{path}:reserve", json=ask)
    claim = {"reservation": held["reservation"], "token": held["token"], "numbers": ["1"]}
    assert (await rest.ask("POST", f"{path}:confirm", json=claim))["numbers"] == ["1"]
    voided = {"numbers": ["2"], "reason": "spoiled"}
    assert (await rest.ask("POST", f"{path}:void", json=voided))["numbers"] == ["2"]

    (void,) = (await rest.ask("GET", f"{path}/voids"))["voids"]
    assert (void["first"], void["reason"]) == ("2", "spoiled")
    report = await rest.ask("GET", f"{path}/gaps", params={"fromTime": "2020-01-01T00:00:00Z"})
    assert [gap["state"] for gap in report["gaps"]] == ["NUMBER_STATE_VOID"]


async def test_a_worker_is_acquired_renewed_listed_and_released(rest: Rest) -> None:
    """Two variables in one path; an id is taken apart by GET."""
    await rest.create("rest.span", kind="SEQUENCE_KIND_SNOWFLAKE")
    path = "/v1/sequences/rest.span"
    ask = {"clientId": "a", "window": "60s"}

    held = await rest.ask("POST", f"{path}/workers:acquire", json=ask)
    more = {**ask, "token": held["token"], "untilTick": held["untilTick"]}
    renewed = await rest.ask("POST", f"{path}/workers/0:renew", json=more)
    (window,) = (await rest.ask("GET", f"{path}/workers"))["windows"]
    id_ = int(held["fromTick"]) << 22
    origin = await rest.ask("GET", f"{path}/snowflakes/{id_}")
    back = {"clientId": "a", "token": held["token"], "nextTick": held["fromTick"]}

    assert int(renewed["untilTick"]) >= int(held["untilTick"])
    assert window["holder"] == origin["window"]["holder"] == "ops/a"
    assert await rest.ask("POST", f"{path}/workers/0:release", json=back) == {"released": True}


async def test_serials_are_taken_and_read(rest: Rest) -> None:
    """A business date as text; the serial in a query parameter."""
    form = {"template": "LN{date:%Y%m%d}{number:04}", "reset": "SERIAL_RESET_DAY"}
    await rest.create("rest.contract", serial=form)
    path = "/v1/serials/rest.contract"

    made = await rest.ask("POST", f"{path}:next", json={"businessDate": "2026-11-26", "count": 2})
    read = await rest.ask("GET", f"{path}:read", params={"serial": made["serials"][1]})

    assert made["serials"] == ["LN202611260001", "LN202611260002"]
    assert (read["number"], read["sequence"]) == ("2", "rest.contract@20261126")


async def test_the_document_lists_every_method_with_an_annotation(rest: Rest) -> None:
    """And none of those without: streams of ranges, witnesses between servers."""
    paths = (await rest.ask("GET", "/openapi.json"))["paths"]

    found = {
        f"{method} {path.removeprefix('/v1/sequences')}"
        for path, methods in paths.items()
        if path.startswith("/v1/sequences")
        for method in methods
    }
    assert found == {
        "post ",
        "get ",
        "get /{name}",
        "patch /{sequence.name}",
        "get /{name}/leases",
        "get /{name}/usage",
        "get /{name}/gaps",
        "get /{name}/voids",
        "get /{name}/workers",
        "get /{name}/snowflakes/{id}",
        "post /{name}/workers:acquire",
        "post /{name}/workers/{worker_id}:renew",
        "post /{name}/workers/{worker_id}:release",
        *(f"post /{{name}}:{verb}" for verb in ("rename", "setState", "lease", "return", "fence")),
        *(f"post /{{name}}:{verb}" for verb in ("reserve", "confirm", "release", "void")),
    }
    parameters = {one["name"] for one in paths["/v1/sequences/{name}/leases"]["get"]["parameters"]}
    assert {"name", "id", "caller", "from_time", "until_time", "actions"} <= parameters
