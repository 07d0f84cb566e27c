"""The table as xDS resources, and the stream that tells of them."""

from __future__ import annotations

from typing import Any

import pytest
from google.rpc.status_pb2 import Status

from engine.xds.v1.cluster_pb2 import Cluster
from engine.xds.v1.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from engine.xds.v1.endpoint_pb2 import (
    HEALTH_STATUS_DRAINING,
    HEALTH_STATUS_HEALTHY,
    ClusterLoadAssignment,
)
from engine.xds.v1.listener_pb2 import HttpConnectionManager, Listener
from engine.xds.v1.route_pb2 import RouteConfiguration
from mesh.registry import HeaderRule, Route, Split, State
from mesh.registry.table import Table
from mesh.registry.xds.assignment import assignment
from mesh.registry.xds.kinds import Kind
from mesh.registry.xds.resources import Resources
from mesh.registry.xds.session import MAX_NAMES, Session, TooManyNamesError
from tests.unit.mesh.registry.entries import entry

CANARY = Route(
    service="customer",
    rules=(HeaderRule(header="x-canary", value="1", version="2"),),
    splits=(Split(version="1", weight=95), Split(version="2", weight=5)),
)


@pytest.fixture
def table() -> Table:
    table = Table()
    table.put(entry(instance="a", address="10.0.0.1:1", version="1"))
    table.put(entry(instance="b", address="10.0.0.2:2", version="2"))
    return table


def made(table: Table, kind: Kind, name: str, message: Any) -> Any:
    """A resource, unpacked."""
    packed = Resources(table).get(kind, name)
    assert packed is not None
    assert packed.type_url == kind
    return message.FromString(packed.value)


def addresses(found: ClusterLoadAssignment) -> list[str]:
    """Hosts of an assignment."""
    return [
        one.endpoint.address.socket_address.address
        for place in found.endpoints
        for one in place.lb_endpoints
    ]


def test_a_listener_leads_to_routes_and_those_to_clusters(table: Table) -> None:
    """By name, on the same stream."""
    listener = made(table, Kind.LISTENER, "customer", Listener)
    manager = HttpConnectionManager.FromString(listener.api_listener.api_listener.value)
    assert manager.rds.route_config_name == "customer"
    assert manager.http_filters[-1].typed_config.type_url.endswith("router.v3.Router")
    routes = made(table, Kind.ROUTES, "customer", RouteConfiguration)
    assert [r.route.cluster for r in routes.virtual_hosts[0].routes] == ["customer"]
    cluster = made(table, Kind.CLUSTER, "customer", Cluster)
    assert cluster.eds_cluster_config.service_name == "customer"


def test_rules_come_before_shares_and_each_version_is_a_cluster(table: Table) -> None:
    """A share without a weight has no cluster."""
    table.set_route(CANARY)
    routes = made(table, Kind.ROUTES, "customer", RouteConfiguration).virtual_hosts[0].routes
    assert routes[0].match.headers[0].name == "x-canary"
    assert routes[0].match.headers[0].string_match.exact == "1"
    assert routes[0].route.cluster == "customer@2"
    shares = routes[1].route.weighted_clusters.clusters
    assert [(s.name, s.weight.value) for s in shares] == [("customer@1", 95), ("customer@2", 5)]
    none = Route(service="customer", splits=(Split(version="1", weight=0),))
    table.set_route(none)
    routes = made(table, Kind.ROUTES, "customer", RouteConfiguration).virtual_hosts[0].routes
    assert routes[0].route.cluster == "customer"


def test_a_version_has_its_instances_and_without_any_all_of_them(table: Table) -> None:
    """As the mesh's own channel: a canary that is gone takes no calls away."""
    found = made(table, Kind.ASSIGNMENT, "customer@2", ClusterLoadAssignment)
    assert addresses(found) == ["10.0.0.2"]
    drained = entry(instance="b", address="10.0.0.2:2", version="2", state=State.DRAINING)
    table.put(drained)
    found = made(table, Kind.ASSIGNMENT, "customer@2", ClusterLoadAssignment)
    assert addresses(found) == ["10.0.0.1", "10.0.0.2"]


def test_priorities_are_told_without_gaps_and_each_place_has_a_weight() -> None:
    """Clients refuse the one and pass over the other."""
    found = assignment(
        "customer",
        [
            entry(instance="a", priority=7, address="10.0.0.1:1"),
            entry(instance="b", priority=3, address="10.0.0.2:1"),
            entry(instance="c", priority=3, address="10.0.0.3:1"),
        ],
    )
    assert [place.priority for place in found.endpoints] == [0, 1]
    assert [place.load_balancing_weight.value for place in found.endpoints] == [2, 1]
    assert len({place.locality.sub_zone for place in found.endpoints}) == 2


def test_one_that_drains_says_so_and_one_that_starts_is_left_out() -> None:
    """A priority at which nobody takes calls is left out, too."""
    found = assignment(
        "customer",
        [
            entry(instance="a", address="10.0.0.1:1"),
            entry(instance="b", address="10.0.0.2:1", state=State.DRAINING),
            entry(instance="c", address="10.0.0.3:1", state=State.STARTING),
            entry(instance="d", address="10.0.0.4:1", state=State.DRAINING, priority=1),
        ],
    )
    assert addresses(found) == ["10.0.0.1", "10.0.0.2"]
    health = [one.health_status for one in found.endpoints[0].lb_endpoints]
    assert health == [HEALTH_STATUS_HEALTHY, HEALTH_STATUS_DRAINING]


def test_an_address_by_name_is_left_out_and_one_of_ipv6_is_taken() -> None:
    """Clients of xDS take numbers alone."""
    found = assignment(
        "customer",
        [entry(instance="a", address="host:1"), entry(instance="b", address="[::1]:2")],
    )
    assert addresses(found) == ["::1"]


def test_a_resource_is_made_once_until_it_changes(table: Table) -> None:
    """Fifty clients ask for the same."""
    resources = Resources(table)
    first = resources.get(Kind.ASSIGNMENT, "customer")
    table.put(entry("action"))
    assert resources.get(Kind.ASSIGNMENT, "customer") is first
    table.put(entry(instance="c", address="10.0.0.3:1"))
    assert resources.get(Kind.ASSIGNMENT, "customer") is not first


class Client:
    """One end of a session."""

    def __init__(self, table: Table) -> None:
        self.session = Session(Resources(table))

    def ask(self, kind: Kind, *names: str, nonce: str = "", problem: str = "") -> None:
        request = DiscoveryRequest(type_url=kind, resource_names=names, response_nonce=nonce)
        if problem:
            request.error_detail.CopyFrom(Status(code=3, message=problem))
        self.session.asked(request)

    def heard(self) -> list[DiscoveryResponse]:
        return [*self.session.due()]


def test_what_is_asked_for_is_answered_once(table: Table) -> None:
    """An acknowledgement asks for nothing."""
    client = Client(table)
    client.ask(Kind.LISTENER, "customer")
    (answer,) = client.heard()
    assert (answer.type_url, answer.nonce) == (Kind.LISTENER, "1")
    client.ask(Kind.LISTENER, "customer", nonce=answer.nonce)
    assert client.heard() == []


def test_only_what_has_changed_is_told(table: Table) -> None:
    """A load, or another service, changes nothing for this client."""
    client = Client(table)
    client.ask(Kind.ASSIGNMENT, "customer", "action")
    (answer,) = client.heard()
    assert len(answer.resources) == 2
    table.put(entry(instance="a", address="10.0.0.1:1", version="1", load=0.9))
    table.put(entry("wecom"))
    assert client.heard() == []
    table.put(entry("action", address="10.0.0.9:1"))
    (answer,) = client.heard()
    (resource,) = answer.resources
    assert ClusterLoadAssignment.FromString(resource.value).cluster_name == "action"


def test_the_last_instance_leaving_is_told_as_an_empty_assignment(table: Table) -> None:
    """Silence would leave the client with the address of nobody."""
    client = Client(table)
    client.ask(Kind.ASSIGNMENT, "customer")
    client.heard()
    table.replace([], [])
    (answer,) = client.heard()
    (resource,) = answer.resources
    assert addresses(ClusterLoadAssignment.FromString(resource.value)) == []


def test_what_a_client_refused_is_not_sent_again_before_it_changes(table: Table) -> None:
    """Or both would be busy with nothing else."""
    client = Client(table)
    client.ask(Kind.ASSIGNMENT, "customer")
    (answer,) = client.heard()
    client.ask(Kind.ASSIGNMENT, "customer", nonce=answer.nonce, problem="no")
    assert client.session.refused == 1
    assert client.heard() == []
    table.remove(("customer", "a"))
    assert len(client.heard()) == 1


def test_a_request_that_answers_an_older_answer_is_passed_over(table: Table) -> None:
    """The client has not seen the newer one yet; it will ask again then."""
    client = Client(table)
    client.ask(Kind.ASSIGNMENT, "customer")
    (old,) = client.heard()
    table.remove(("customer", "a"))
    (new,) = client.heard()
    client.ask(Kind.ASSIGNMENT, "customer", "action", nonce=old.nonce)
    assert client.heard() == []
    client.ask(Kind.ASSIGNMENT, "customer", "action", nonce=new.nonce)
    (answer,) = client.heard()
    assert len(answer.resources) == 1


def test_what_is_left_and_asked_for_again_is_told_again(table: Table) -> None:
    """A client forgets what it does not want."""
    client = Client(table)
    client.ask(Kind.ASSIGNMENT, "customer")
    (answer,) = client.heard()
    client.ask(Kind.ASSIGNMENT, nonce=answer.nonce)
    assert client.heard() == []
    client.ask(Kind.ASSIGNMENT, "customer", nonce=answer.nonce)
    assert len(client.heard()) == 1


def test_clusters_and_listeners_are_always_told_as_a_whole(table: Table) -> None:
    """What an answer leaves out of these does not exist for a client."""
    client = Client(table)
    client.ask(Kind.CLUSTER, "customer")
    (answer,) = client.heard()
    client.ask(Kind.CLUSTER, "customer", "customer@2", nonce=answer.nonce)
    (answer,) = client.heard()
    names = [Cluster.FromString(resource.value).name for resource in answer.resources]
    assert names == ["customer", "customer@2"]


def test_one_who_names_nothing_is_told_of_all_services(table: Table) -> None:
    """Of those that come later, too."""
    client = Client(table)
    client.ask(Kind.LISTENER)
    (answer,) = client.heard()
    assert len(answer.resources) == 1
    table.put(entry("action"))
    (answer,) = client.heard()
    assert len(answer.resources) == 2


def test_while_the_table_is_not_settled_nobody_is_told_of_an_empty_service() -> None:
    """The registry has just begun, and the client may know better."""
    table = Table(settled=False)
    client = Client(table)
    client.ask(Kind.ASSIGNMENT, "customer")
    assert client.heard() == []
    table.settle()
    assert len(client.heard()) == 1


def test_what_is_referred_to_is_told_before_what_refers_to_it(table: Table) -> None:
    """Else calls would go to a cluster that the client does not know yet."""
    client = Client(table)
    for kind, name in ((Kind.ROUTES, "customer"), (Kind.CLUSTER, "customer@2")):
        client.ask(kind, name)
    assert [answer.type_url for answer in client.heard()] == [Kind.CLUSTER, Kind.ROUTES]


def test_a_kind_that_is_not_known_is_passed_over(table: Table) -> None:
    """A later client may ask for it; it goes on without."""
    session = Session(Resources(table))
    session.asked(DiscoveryRequest(type_url="type.googleapis.com/envoy.later.Kind"))
    assert [*session.due()] == []


def test_too_many_names_are_refused(table: Table) -> None:
    """What is kept of a client has a bound."""
    with pytest.raises(TooManyNamesError):
        Client(table).ask(Kind.CLUSTER, *map(str, range(MAX_NAMES + 1)))
