"""Messages of the registry to what its table holds, and back."""

from __future__ import annotations

from engine.mesh.v1 import registry_pb2 as pb
from mesh.registry._base import Entry, HeaderRule, Route, Split, State
from mesh.registry.watcher import Change, Key

_STATES = {
    State.STARTING: pb.INSTANCE_STATE_STARTING,
    State.SERVING: pb.INSTANCE_STATE_SERVING,
    State.DRAINING: pb.INSTANCE_STATE_DRAINING,
}
_STATES_BACK = {number: state for state, number in _STATES.items()}


def to_instance(entry: Entry) -> pb.Instance:
    """The message of an entry."""
    return pb.Instance(
        service=entry.service,
        instance=entry.instance,
        address=entry.address,
        socket=entry.socket,
        host_id=entry.host_id,
        pid=entry.pid,
        version=entry.version,
        state=_STATES[entry.state],
        http=entry.http,
        lanes=entry.lanes,
        digest=entry.digest,
        priority=entry.priority,
        load=entry.load,
    )


def to_entry(instance: pb.Instance) -> Entry:
    """The entry of a message. A state that this version does not know takes no calls."""
    return Entry(
        service=instance.service,
        instance=instance.instance,
        address=instance.address,
        socket=instance.socket,
        host_id=instance.host_id,
        pid=instance.pid,
        version=instance.version,
        state=_STATES_BACK.get(instance.state, State.STARTING),
        http=instance.http,
        lanes=tuple(instance.lanes),
        digest=instance.digest,
        priority=instance.priority,
        load=instance.load,
    )


def to_message(route: Route) -> pb.ServiceRoute:
    """The message of a route."""
    return pb.ServiceRoute(
        service=route.service,
        rules=[
            pb.VersionRule(header=rule.header, value=rule.value, version=rule.version)
            for rule in route.rules
        ],
        splits=[pb.VersionSplit(version=s.version, weight=s.weight) for s in route.splits],
    )


def to_route(message: pb.ServiceRoute) -> Route:
    """The route of a message."""
    return Route(
        service=message.service,
        rules=tuple(
            HeaderRule(header=rule.header, value=rule.value, version=rule.version)
            for rule in message.rules
        ),
        splits=tuple(Split(version=s.version, weight=s.weight) for s in message.splits),
    )


def to_key(key: Key) -> pb.InstanceKey:
    """The message of an instance's name."""
    return pb.InstanceKey(service=key[0], instance=key[1])


def from_key(message: pb.InstanceKey) -> Key:
    """The name of an instance."""
    return message.service, message.instance


def to_response(change: Change) -> pb.WatchResponse:
    """The message of a change."""
    return pb.WatchResponse(
        version=change.version,
        whole=change.is_whole,
        settled=change.is_settled,
        instances=map(to_instance, change.entries),
        left=map(to_key, change.left),
        routes=map(to_message, change.routes),
    )


def to_change(response: pb.WatchResponse) -> Change:
    """The change of a message."""
    return Change(
        version=response.version,
        is_whole=response.whole,
        is_settled=response.settled,
        entries=tuple(map(to_entry, response.instances)),
        left=tuple(map(from_key, response.left)),
        routes=tuple(map(to_route, response.routes)),
    )
