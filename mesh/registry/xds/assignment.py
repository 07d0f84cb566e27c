"""Where the instances of a cluster are, by priority."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

from google.protobuf.wrappers_pb2 import UInt32Value

from engine.xds.v1 import endpoint_pb2 as pb
from mesh.log import get_logger
from mesh.registry._base import Entry, State

_HEALTH = {
    State.SERVING: pb.HEALTH_STATUS_HEALTHY,
    State.DRAINING: pb.HEALTH_STATUS_DRAINING,
}

_log = get_logger(__name__)


def assignment(name: str, entries: Iterable[Entry]) -> pb.ClusterLoadAssignment:
    """The assignment of a cluster with these instances; those that start are left out.

    Clients refuse priorities with a gap and pass over places without a weight.
    """
    groups: dict[int, list[Entry]] = {}
    for entry in entries:
        if entry.state in _HEALTH and _socket(entry.address) is not None:
            groups.setdefault(entry.priority, []).append(entry)
    wanted = [
        groups[priority]
        for priority in sorted(groups)
        if any(entry.state is State.SERVING for entry in groups[priority])
    ]
    return pb.ClusterLoadAssignment(
        cluster_name=name,
        endpoints=[_place(rank, group) for rank, group in enumerate(wanted)],
    )


def _place(rank: int, entries: Sequence[Entry]) -> pb.LocalityLbEndpoints:
    return pb.LocalityLbEndpoints(
        locality=pb.Locality(sub_zone=f"priority-{rank}"),
        priority=rank,
        load_balancing_weight=UInt32Value(value=len(entries)),
        lb_endpoints=[
            pb.LbEndpoint(
                endpoint=pb.Endpoint(address=pb.Address(socket_address=_socket(entry.address))),
                health_status=_HEALTH[entry.state],
            )
            for entry in entries
        ],
    )


@lru_cache(maxsize=4_096)
def _socket(address: str) -> pb.SocketAddress | None:
    """An address as clients take it; None for a name, which they do not resolve."""
    host, _, port = address.rpartition(":")
    try:
        number = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        _log.warning("address_is_a_name", address=address)
        return None
    return pb.SocketAddress(address=str(number), port_value=int(port))
