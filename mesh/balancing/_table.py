"""Who may be called, and by what rules: the table that a channel chooses from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from mesh.lane.dial import Endpoint

if TYPE_CHECKING:  # a client outside the platform has no registry
    from mesh.registry import Entry, Registry, Route

LOOK_S: Final = 0.1
"""A route that changed alone, without an entry, is seen after so long at the latest."""

Endpoints = Callable[[], Sequence[Endpoint | str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A process that may be called.

    `endpoint` may be an ordinary gRPC address as text. `name` tells apart processes that
    follow one another at the same endpoint. `priority` 0 is called first.
    """

    endpoint: Endpoint | str
    name: str = ""
    version: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """All instances that take calls, and how calls are spread over their versions."""

    instances: tuple[Instance, ...] = ()
    route: Route | None = None


@runtime_checkable
class Source(Protocol):
    """Where a channel has its table from."""

    def table(self, now: float) -> Table:
        """The present one; the same object as long as nothing has changed."""


class Listed:
    """A table of endpoints alone.

    Args:
        endpoints: a list, as it is now.
    """

    def __init__(self, endpoints: Sequence[Endpoint | str]) -> None:
        self._table = Table(tuple(Instance(endpoint=it) for it in endpoints))

    def table(self, now: float) -> Table:  # noqa: ARG002 - it never changes
        return self._table


class Asked:
    """A table of endpoints alone, which may change.

    Args:
        ask: answers them at each call.
    """

    def __init__(self, ask: Endpoints) -> None:
        self._ask = ask
        self._seen: Sequence[Endpoint | str] = ()
        self._table = Table()

    def table(self, now: float) -> Table:  # noqa: ARG002 - it is asked each time
        endpoints = self._ask()
        if type(endpoints) is tuple and endpoints is self._seen:
            return self._table
        if endpoints != self._seen:
            self._table = Table(tuple(Instance(endpoint=it) for it in endpoints))
        self._seen = endpoints[:]  # a list may be changed by its owner
        return self._table


class Registered:
    """What a registry has of a service, as a process on one host sees it.

    Instances on the same host are reached by their sockets, others by their addresses.
    Called, it answers the endpoints alone.
    """

    def __init__(self, registry: Registry, service: str, host_id: str) -> None:
        self._registry = registry
        self._service = service
        self._host_id = host_id
        self._entries: Sequence[Entry] = ()
        self._known: dict[str, tuple[Entry, Instance]] = {}
        self._look_at = 0.0
        self._table = Table()

    def __call__(self) -> Sequence[Endpoint | str]:
        return tuple(one.endpoint for one in self.table(time.monotonic()).instances)

    def table(self, now: float) -> Table:
        entries = self._registry.lookup(self._service)
        if entries is not self._entries or now >= self._look_at:
            self._look(entries, now)
        return self._table

    def _look(self, entries: Sequence[Entry], now: float) -> None:
        """Make the table anew when instances or route are other ones."""
        self._look_at = now + LOOK_S
        instances, route = self._table.instances, self._registry.route(self._service)
        if entries is not self._entries:
            instances = tuple(map(self._instance, entries))
            self._known = {
                entry.instance: (entry, instance)
                for entry, instance in zip(entries, instances, strict=True)
            }
            self._entries = entries
        if not _are_the_same(instances, self._table.instances) or route != self._table.route:
            self._table = Table(instances, route)

    def _instance(self, entry: Entry) -> Instance:
        """The instance of an entry; the same object for as long as callers need not care."""
        before, known = self._known.get(entry.instance, (None, None))
        if known is not None and before is entry:
            return known
        instance = Instance(
            endpoint=entry.endpoint(self._host_id),
            name=entry.instance,
            version=entry.version,
            priority=entry.priority,
        )
        return known if known == instance else instance


def _are_the_same(some: Sequence[Instance], others: Sequence[Instance]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def registered(registry: Registry, service: str, host_id: str) -> Registered:
    """The table of a service, for the channels of a process on a host."""
    return Registered(registry, service, host_id)


def source_of(given: Source | Endpoints | Sequence[Endpoint | str]) -> Source:
    """The source itself, or one for a list of endpoints."""
    if isinstance(given, Source):
        return given
    return Asked(given) if callable(given) else Listed(given)
