"""Names of methods as people write them, and what is offered for those that are none."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pool

from cli.calling.catalogue import MAX_NEAR, Catalogue, Row
from cli.calling.listing import permission, signature, streams
from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import trust_pb2

SERVED = (
    ("customer", customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]),
    ("ark", ark_pb2.DESCRIPTOR.services_by_name["ArkService"]),
    ("identity", trust_pb2.DESCRIPTOR.services_by_name["TrustService"]),
)


@pytest.fixture
def catalogue() -> Catalogue:
    """Three services, as they are registered."""
    pool = descriptor_pool.Default()
    return Catalogue(
        Row(peer, method, pool) for peer, service in SERVED for method in service.methods
    )


def method(catalogue: Catalogue, name: str) -> Row:
    (row,) = catalogue.methods(name)
    return row


@pytest.mark.parametrize(
    "name",
    [
        "customer/GetCustomer",
        "customer.GetCustomer",
        "CustomerService/GetCustomer",
        "CustomerService.GetCustomer",
        "engine.customer.v1.CustomerService/GetCustomer",
        "engine.customer.v1.CustomerService.GetCustomer",
        "/engine.customer.v1.CustomerService/GetCustomer",
        "GetCustomer",
    ],
)
def test_a_method_has_many_names(catalogue: Catalogue, name: str) -> None:
    """By the registry, by gRPC in short and in full, and alone where that is enough."""
    assert method(catalogue, name).path == "/engine.customer.v1.CustomerService/GetCustomer"


def test_a_name_of_several_methods_means_all_of_them(catalogue: Catalogue) -> None:
    """So that they can be shown with labels that mean one each."""
    found = catalogue.methods("GetStatistics")
    assert [catalogue.label(row) for row in found] == [
        "customer/GetStatistics",
        "ark/GetStatistics",
    ]
    assert all(catalogue.methods(catalogue.label(row)) == [row] for row in found)


@pytest.mark.parametrize("name", ["identity", "TrustService", "engine.mesh.v1.TrustService"])
def test_a_service_is_named_in_the_same_ways(catalogue: Catalogue, name: str) -> None:
    """To list its methods."""
    listed = [row.descriptor.name for row in catalogue.group(name)]
    assert listed == ["GetKeySet", "PollRevocations", "WatchRevocations"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("customer/GetCustmer", "customer/GetCustomer"),
        ("getportrait", "customer/GetPortrait"),
        ("Portrait", "customer/GetPortrait"),
        ("CustomerService/ListCustomer", "customer/ListCustomers"),
        ("custmer", "customer"),
        ("custmer/Nothing", "customer"),
    ],
)
def test_a_name_that_is_none_is_answered_with_near_ones(
    catalogue: Catalogue, wrong: str, meant: str
) -> None:
    """Methods first, and services where no method is like it."""
    assert catalogue.methods(wrong) == []
    assert catalogue.near(wrong)[0] == meant


def test_nothing_is_offered_for_what_is_like_nothing(catalogue: Catalogue) -> None:
    """A guess would mislead; and a long list is none."""
    assert catalogue.near("xyzzy") == []
    assert len(catalogue.near("Get")) == MAX_NEAR


def test_an_address_is_part_of_no_name() -> None:
    """A server elsewhere has the names of its own services."""
    pool = descriptor_pool.Default()
    elsewhere = Catalogue(Row("127.0.0.1:1", m, pool) for m in SERVED[0][1].methods)
    assert elsewhere.label(elsewhere.rows[0]) == "CustomerService/GetCustomer"


def test_a_signature_says_what_is_taken_and_answered(catalogue: Catalogue) -> None:
    """On one line: JSON names and types; lists and streams are marked, long ones are cut."""
    update = method(catalogue, "UpdateFollowUp")
    assert signature(update) == (
        "(customerId: int64, followUp: FollowUp, updateMask: FieldMask, requestId: string)"
        " → UpdateFollowUpResponse"
    )
    importing = method(catalogue, "customer/ImportCustomers")
    assert signature(importing).startswith("(customers: [Customer]) →")
    watch = method(catalogue, "WatchRevocations")
    assert signature(watch).endswith("→ stream WatchRevocationsResponse")
    assert (streams(watch), streams(update)) == ("answers", "")


def test_who_may_call_is_said(catalogue: Catalogue) -> None:
    """The permission, whether services alone hold it, or that nobody needs one."""
    said = {n: permission(method(catalogue, n)) for n in ("GetCustomer", "GetKeySet")}
    assert said == {"GetCustomer": "customer.read", "GetKeySet": "anonymous"}
    assert permission(method(catalogue, "WatchRevocations")) == "trust.watch (services)"
