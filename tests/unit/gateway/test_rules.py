"""HTTP rules against their contract."""

from __future__ import annotations

import pytest
from google.api.http_pb2 import CustomHttpPattern, HttpRule

from gateway.rules import Binding, RuleError, bind, rules
from mesh import contract as contracts
from mesh.contract import Method
from mesh.reflection import Contract


@pytest.fixture
def method(contract: Contract) -> Method:
    service = contract.pool.FindServiceByName("gateway.testing.v1.ThingService")
    return contracts.method(service.methods_by_name["UpdateThing"])


def custom(kind: str) -> HttpRule:
    return HttpRule(custom=CustomHttpPattern(kind=kind, path="/v1/x"))


def test_a_rule_and_its_additional_bindings_are_all_found(contract: Contract) -> None:
    """In the order of the contract."""
    service = contract.pool.FindServiceByName("gateway.testing.v1.ThingService")
    found = contracts.method(service.methods_by_name["GetThing"])
    assert [bind(found, rule).label for rule in rules(found)] == [
        "GET /v1/things/{thing.thing_id}",
        "GET /v1/{shelf_id=shelves/*}/things/{thing.thing_id}",
    ]


def test_method_without_a_rule_has_none(contract: Contract) -> None:
    """It is served over gRPC alone."""
    service = contract.pool.FindServiceByName("gateway.testing.v1.OddService")
    assert list(rules(contracts.method(service.methods_by_name["Quiet"]))) == []


@pytest.mark.parametrize(
    ("rule", "http_method"),
    [
        (HttpRule(get="/v1/x"), "GET"),
        (HttpRule(put="/v1/x", body="*"), "PUT"),
        (HttpRule(post="/v1/x", body="thing"), "POST"),
        (HttpRule(delete="/v1/x"), "DELETE"),
        (HttpRule(patch="/v1/x"), "PATCH"),
        (custom("REPORT"), "REPORT"),
    ],
)
def test_every_kind_of_rule_is_bound(method: Method, rule: HttpRule, http_method: str) -> None:
    """The five methods of HTTP, and others by name."""
    binding = bind(method, rule)
    assert isinstance(binding, Binding)
    assert binding.http_method == http_method


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (HttpRule(), "no path"),
        (HttpRule(get="v1/x"), "slash"),
        (HttpRule(get="/v1/{nothing}"), "not a field"),
        (HttpRule(get="/v1/{thing.nothing}"), "not a field"),
        (HttpRule(get="/v1/{thing}"), "not a field"),
        (HttpRule(get="/v1/{thing.tags}"), "single value"),
        (HttpRule(get="/v1/{update_mask}"), "single value"),
        (HttpRule(get="/v1/x", body="*"), "GET takes no body"),
        (HttpRule(post="/v1/x", body="nothing"), "not a field"),
        (HttpRule(get="/v1/x", response_body="nothing"), "not a field"),
        (custom("*"), "method"),
        (custom("HEAD"), "method"),
        (custom("get"), "method"),
    ],
    ids=str,
)
def test_rules_that_cannot_be_served_are_refused(method: Method, rule: HttpRule, why: str) -> None:
    """When they are loaded, with what is wrong."""
    with pytest.raises(RuleError, match=why):
        bind(method, rule)
