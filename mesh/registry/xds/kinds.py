"""The kinds of resources that gRPC clients ask for, and how one refers to another."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from engine.xds.v1.discovery_pb2 import API_VERSION_V3, AggregatedConfigSource, ConfigSource

_GOOGLE: Final = "type.googleapis.com"

HTTP_CONNECTION_MANAGER: Final = (
    f"{_GOOGLE}/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
ROUTER: Final = f"{_GOOGLE}/envoy.extensions.filters.http.router.v3.Router"


class Kind(StrEnum):
    """A type url. They stand in the order in which news of them is sent.

    What is referred to goes out before what refers to it.
    """

    CLUSTER = f"{_GOOGLE}/envoy.config.cluster.v3.Cluster"
    ASSIGNMENT = f"{_GOOGLE}/envoy.config.endpoint.v3.ClusterLoadAssignment"
    LISTENER = f"{_GOOGLE}/envoy.config.listener.v3.Listener"
    ROUTES = f"{_GOOGLE}/envoy.config.route.v3.RouteConfiguration"

    @property
    def is_told_whole(self) -> bool:
        """Whether an answer has all that is subscribed to: what it leaves out does not exist."""
        return self in {Kind.CLUSTER, Kind.LISTENER}


def packed(type_url: str, message: Message) -> Packed:
    """A message as Envoy names its type; ours has another name, which does not travel."""
    return Packed(type_url=type_url, value=message.SerializeToString(deterministic=True))


def same_stream() -> ConfigSource:
    """Says that a resource is to be asked for on the stream that names it."""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=API_VERSION_V3)
