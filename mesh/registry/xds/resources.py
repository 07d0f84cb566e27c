"""The table as xDS resources.

A service `customer` is a listener and a route configuration of that name, and a cluster of that
name with all its instances. Each version that its route names is a cluster `customer@VERSION`.
Every name has resources, also that of a service without an instance: a client that comes
before the first one gets "no instance", and not "no such service", which it would remember.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import UInt32Value

from engine.xds.v1 import cluster_pb2, listener_pb2, route_pb2
from mesh.registry._base import Entry, Route, State
from mesh.registry.table import Table
from mesh.registry.xds.assignment import assignment
from mesh.registry.xds.kinds import HTTP_CONNECTION_MANAGER, ROUTER, Kind, packed, same_stream

MAX_KEPT: Final = 10_000
"""Resources that are kept ready for those who ask again; then all are made anew."""
MAX_REQUESTS: Final = 1_000_000
"""Calls of a client to a cluster at once. Without it gRPC fails those above 1,024."""

_OUTLIERS: Final = cluster_pb2.OutlierDetection(
    interval=Duration(seconds=1),
    base_ejection_time=Duration(seconds=5),
    max_ejection_time=Duration(seconds=30),
    max_ejection_percent=UInt32Value(value=50),
    enforcing_success_rate=UInt32Value(value=0),
    failure_percentage_threshold=UInt32Value(value=50),
    enforcing_failure_percentage=UInt32Value(value=100),
    failure_percentage_minimum_hosts=UInt32Value(value=2),
    failure_percentage_request_volume=UInt32Value(value=10),
)
"""An instance where half of at least ten calls fail in a second is passed over for 5 to 30 s."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A resource, and what it was made of."""

    entries: Sequence[Entry]
    route: Route
    is_settled: bool
    resource: Packed | None


class Resources:
    """Makes resources of a table, each once until something changes that it is made of."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: dict[tuple[Kind, str], _Kept] = {}

    @property
    def version(self) -> str:
        """The version of the table."""
        return str(self._table.version)

    def names(self) -> Sequence[str]:
        """The services that there are, for those who ask for all."""
        return [*self._table.snapshot().entries]

    def get(self, kind: Kind, name: str) -> Packed | None:
        """A resource; None while nobody can know what it is.

        That is so for the instances of a service that has none in a table that is not
        settled: a client would drop those that it has.
        """
        service = name.partition("@")[0]
        entries, route = self._table.of(service), self._table.route(service)
        kept = self._kept.get((kind, name))
        is_settled = self._table.is_settled
        if (
            kept is None
            or kept.entries is not entries
            or kept.route != route
            or kept.is_settled is not is_settled
        ):
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            resource = self._make(kind, name)
            kept = self._kept[kind, name] = _Kept(entries, route, is_settled, resource)
        return kept.resource

    def _make(self, kind: Kind, name: str) -> Packed | None:
        makers: dict[Kind, Callable[[str], Message | None]] = {
            Kind.LISTENER: _listener,
            Kind.ROUTES: self._routes,
            Kind.CLUSTER: _cluster,
            Kind.ASSIGNMENT: self._assignment,
        }
        message = makers[kind](name)
        return None if message is None else packed(kind, message)

    def _routes(self, name: str) -> Message:
        route = self._table.route(name)
        rules = [
            route_pb2.Route(
                match=route_pb2.RouteMatch(
                    prefix="",
                    headers=[
                        route_pb2.HeaderMatcher(
                            name=rule.header,
                            string_match=route_pb2.StringMatcher(exact=rule.value),
                        )
                    ],
                ),
                route=route_pb2.RouteAction(cluster=f"{name}@{rule.version}"),
            )
            for rule in route.rules
        ]
        rest = route_pb2.Route(match=route_pb2.RouteMatch(prefix=""), route=_shared(route))
        host = route_pb2.VirtualHost(name=name, domains=["*"], routes=[*rules, rest])
        return route_pb2.RouteConfiguration(name=name, virtual_hosts=[host])

    def _assignment(self, name: str) -> Message | None:
        service, _, version = name.partition("@")
        entries = self._table.of(service)
        if not entries and not self._table.is_settled:
            return None
        chosen = [entry for entry in entries if entry.version == version]
        is_served = any(entry.state is State.SERVING for entry in chosen)
        return assignment(name, chosen if is_served else entries)


def _listener(name: str) -> Message:
    manager = listener_pb2.HttpConnectionManager(
        rds=listener_pb2.Rds(config_source=same_stream(), route_config_name=name),
        http_filters=[
            listener_pb2.HttpFilter(
                name="router", typed_config=packed(ROUTER, listener_pb2.Router())
            )
        ],
    )
    api = listener_pb2.ApiListener(api_listener=packed(HTTP_CONNECTION_MANAGER, manager))
    return listener_pb2.Listener(name=name, api_listener=api)


def _cluster(name: str) -> Message:
    bound = cluster_pb2.Thresholds(max_requests=UInt32Value(value=MAX_REQUESTS))
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.CLUSTER_TYPE_EDS,
        eds_cluster_config=cluster_pb2.EdsClusterConfig(
            eds_config=same_stream(), service_name=name
        ),
        circuit_breakers=cluster_pb2.CircuitBreakers(thresholds=[bound]),
        outlier_detection=_OUTLIERS,
    )


def _shared(route: Route) -> route_pb2.RouteAction:
    """Where calls go for which no rule holds."""
    weights = [
        route_pb2.ClusterWeight(
            name=f"{route.service}@{split.version}", weight=UInt32Value(value=split.weight)
        )
        for split in route.splits
        if split.weight
    ]
    if not weights:
        return route_pb2.RouteAction(cluster=route.service)
    return route_pb2.RouteAction(weighted_clusters=route_pb2.WeightedCluster(clusters=weights))
