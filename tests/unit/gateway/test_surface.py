"""What is served of a contract, and what is left out."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.http import Request, Response
from gateway.rulebook import load
from gateway.surface import Page, Surface, build
from mesh.errors import MeshError
from mesh.reflection import Contract

ODD = "/gateway.testing.v1.OddService"


def no_channel(_: str) -> Any:
    return SimpleNamespace(unary_unary=lambda *_, **__: None)


def request(method: str, path: str) -> Request:
    return Request(method=method, path=path, query="", headers={}, body=b"")


@pytest.fixture
def surface(contract: Contract) -> Surface:
    page = Page(path="/page", answer=lambda _: Response(body=b"page"), cost=0)
    return build({"things": contract}, no_channel, [page])


def test_one_bad_rule_does_not_spoil_the_others(surface: Surface) -> None:
    """The good binding of the same method and all other methods are served."""
    labels = {binding.label for binding in surface.bindings}
    assert {"GET /v1/odd", "GET /v1/odd:also", "GET /v1/things/{thing.thing_id}"} <= labels
    assert "GET /v1/odd/{nothing}" not in labels


def test_everything_left_out_is_told_with_its_reason(surface: Surface) -> None:
    """Methods that are not meant for the outside are no news."""
    told = "\n".join(surface.left_out)
    for method, why in (
        ("Good", "'nothing', which is not a field"),
        ("Taken", "taken by /v1/odd"),
        ("Streams", "streams"),
        ("Lawless", "neither permission nor anonymous"),
        ("Messy", "not a field path"),
    ):
        (line,) = [line for line in surface.left_out if f"{ODD}/{method}" in line]
        assert why in line
    assert "Internal" not in told
    assert "Quiet" not in told


@pytest.mark.parametrize("path", ["/v1/odd/internal", "/v1/odd/lawless", "/v1/odd/streams"])
async def test_what_is_left_out_does_not_exist(surface: Surface, path: str) -> None:
    """Internal methods and those without a policy cannot be reached."""
    exchange = surface.exchange(request("GET", path))
    with pytest.raises(MeshError, match="ROUTE_NOT_FOUND"):
        await exchange.target.answer(exchange)


def test_target_carries_the_policy_of_its_method(surface: Surface) -> None:
    """Permission, cost and the name of the route."""
    exchange = surface.exchange(request("GET", "/v1/things/7"))
    target = exchange.target
    assert (target.permission, target.anonymous, target.cost) == ("thing.read", False, 3)
    assert target.label == "GET /v1/things/{thing.thing_id}"
    assert exchange.values == ("7",)
    assert surface.exchange(request("GET", "/v1/odd")).target.anonymous


async def test_pages_are_routes_for_anybody(surface: Surface) -> None:
    """And may be free."""
    exchange = surface.exchange(request("GET", "/page"))
    assert (exchange.target.anonymous, exchange.target.cost) == (True, 0)
    assert (await exchange.target.answer(exchange)).body == b"page"


async def test_options_tells_what_a_path_takes(surface: Surface) -> None:
    """Nothing else is done."""
    exchange = surface.exchange(request("OPTIONS", "/v1/things/7"))
    response = await exchange.target.answer(exchange)
    assert response.status == 204
    assert dict(response.headers) == {b"allow": b"GET, HEAD, OPTIONS, PATCH, PUT"}


def test_dead_ends_are_counted_under_one_name(surface: Surface) -> None:
    """Else every scanner would make statistics of its own."""
    labels = {surface.exchange(request("GET", f"/x/{n}")).target.label for n in range(5)}
    assert labels == {"unmatched"}


def test_the_first_service_by_name_keeps_a_contested_route(contract: Contract) -> None:
    """Whatever the order in which contracts came."""
    both = build({"b": contract, "a": contract}, no_channel, [])
    assert len(both.bindings) == len(build({"a": contract}, no_channel, []).bindings)
    assert any("taken" in line for line in both.left_out)


def test_page_keeps_its_route_against_a_contract(contract: Contract) -> None:
    """No service can take over the gateway's own pages."""
    page = Page(path="/v1/odd", answer=lambda _: Response(body=b"page"))
    found = build({"things": contract}, no_channel, [page])
    assert "GET /v1/odd" not in {binding.label for binding in found.bindings}


def test_surfaces_that_were_replaced_leave_no_memory_behind(contract: Contract) -> None:
    """A gateway outlives any number of deployments behind it."""

    def redeploy(times: int) -> int:
        for _ in range(times):
            build({"things": Contract(contract.services, contract.files)}, no_channel, [])
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1])

    before = redeploy(100)
    growth_pages = redeploy(200) - before
    assert growth_pages < 1000  # 4 MB; each surface takes 0.5 MB


def test_channels_are_opened_and_contracts_read_once(contract: Contract) -> None:
    """And not for every request."""
    opened: list[str] = []

    def channel(service: str) -> Any:
        opened.append(service)
        return no_channel(service)

    surface = build({"things": contract}, channel, [])
    targets = {id(surface.exchange(request("GET", "/v1/things/7")).target) for _ in range(3)}
    assert (opened, len(targets)) == (["things"], 1)


def from_files(contract: Contract, folder: Path, *rules: str) -> Surface:
    """The surface of a contract with rules of a file beside it, in lines from the third on."""
    lines = ["http:", "  rules:", *(f"  - {{{rule}}}" for rule in rules)]
    (folder / "rules.yaml").write_text("\n".join(lines))
    return build({"things": contract}, no_channel, [], load(str(folder)))


def test_rules_of_files_are_served_beside_those_of_the_contract(
    contract: Contract, tmp_path: Path
) -> None:
    """Of methods that carry none, and more routes for those that do."""
    quiet = f"selector: {ODD[1:]}.Quiet, get: /v1/quiet, lax: true"
    found = from_files(contract, tmp_path, quiet, f"selector: {ODD[1:]}.Good, get: /v1/more")
    lax = {binding.label: binding.lax for binding in found.bindings}
    assert lax["GET /v1/quiet"]
    assert (lax["GET /v1/more"], lax["GET /v1/odd"]) == (False, False)


def test_foreign_method_is_served_under_the_policy_of_its_file(
    contract: Contract, tmp_path: Path
) -> None:
    """And of no other: a contract from elsewhere carries none."""
    rule = f"selector: {ODD[1:]}.Lawless, get: /v1/lawless, permission: odd.read, cost: 3"
    found = from_files(contract, tmp_path, rule)
    target = found.exchange(request("GET", "/v1/lawless")).target
    assert (target.permission, target.anonymous, target.cost) == ("odd.read", False, 3)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("selector: {}.Lawless, get: /v1/x", "neither permission nor anonymous"),
        ("selector: {}.Quiet, get: /v1/x, permission: x", "a policy of its own"),
        ("selector: {}.Quiet, get: '/v1/{{nothing}}'", "'nothing', which is not a field"),
        ("selector: {}.Streams, get: /v1/x", "streams"),
        ("selector: {}.Nothing, get: /v1/x", "has no method Nothing"),
        ("selector: {}.Quiet, get: /v1/odd", "taken by /v1/odd"),
    ],
)
def test_rules_of_files_that_do_not_fit_are_left_out(
    contract: Contract, tmp_path: Path, rule: str, why: str
) -> None:
    """With the reason and the place; the others are served."""
    good = f"selector: {ODD[1:]}.Good, get: /v1/good"
    found = from_files(contract, tmp_path, good, rule.format(ODD[1:]))
    labels = {binding.label for binding in found.bindings}
    assert "GET /v1/good" in labels
    assert "GET /v1/x" not in labels
    assert any(why in line and "rules.yaml:4" in line for line in found.left_out)


def test_file_does_not_open_what_the_contract_keeps_inside(
    contract: Contract, tmp_path: Path
) -> None:
    """Internal methods stay so."""
    found = from_files(contract, tmp_path, f"selector: {ODD[1:]}.Internal, get: /v1/x")
    assert "GET /v1/x" not in {binding.label for binding in found.bindings}
