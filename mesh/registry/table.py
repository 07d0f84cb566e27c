"""The table: which instances there are, how calls are spread over versions, and who watches.

It holds no lease and asks nobody: what keeps it true is one of `memory`, `redis` and `folder`.
Every change has a version. A snapshot is made once for each version, and costs nothing to
those who ask again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mesh.registry._base import Entry, Route
from mesh.registry.watcher import Change, Key, Watcher, key_of

LOAD_STEP: Final = 0.1
"""A load that moved by less is not worth a message to every watcher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The table at one version. The entries of a service stand in the order of their names."""

    version: int
    is_settled: bool
    entries: Mapping[str, tuple[Entry, ...]]
    routes: Mapping[str, Route]

    def of(self, service: str) -> tuple[Entry, ...]:
        """The instances of a service, whatever their state."""
        return self.entries.get(service, ())

    def route(self, service: str) -> Route:
        """The route of a service; an empty one when there is none."""
        return self.routes.get(service) or Route(service=service)


class Table:
    """Instances, routes and watchers of one registry process.

    Args:
        settled: false when instances may live that it has not heard of: then the absence of
            one says nothing, until `settle`.
    """

    def __init__(self, *, settled: bool = True) -> None:
        self._entries: dict[str, dict[str, Entry]] = {}
        self._groups: dict[str, tuple[Entry, ...]] = {}
        self._routes: dict[str, Route] = {}
        self._watchers: set[Watcher] = set()
        self._snapshot = Snapshot(version=0, is_settled=settled, entries={}, routes={})
        self._is_fresh = True
        self._is_closed = False
        self.version = 0
        self.is_settled = settled

    # What is in it.

    def snapshot(self) -> Snapshot:
        """All of it, as it is now."""
        if not self._is_fresh:
            self._snapshot = Snapshot(
                version=self.version,
                is_settled=self.is_settled,
                entries={service: self.of(service) for service in sorted(self._entries)},
                routes=dict(self._routes),
            )
            self._is_fresh = True
        return self._snapshot

    def of(self, service: str) -> tuple[Entry, ...]:
        """The instances of a service, in the order of their names, whatever their state.

        The same object until one of them changes.
        """
        group = self._groups.get(service)
        if group is None:
            found = self._entries.get(service)
            if found is None:  # what was asked for by a stranger's name is not kept
                return ()
            group = self._groups[service] = tuple(found[name] for name in sorted(found))
        return group

    def get(self, key: Key) -> Entry | None:
        """One instance; None when it is not there."""
        service, instance = key
        return self._entries.get(service, {}).get(instance)

    def route(self, service: str) -> Route:
        """The route of a service; an empty one when there is none."""
        return self._routes.get(service) or Route(service=service)

    @property
    def size(self) -> int:
        """How many instances there are."""
        return sum(map(len, self._entries.values()))

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    # What changes it.

    def put(self, entry: Entry) -> None:
        """Add an instance, or replace what is known of it."""
        if _is_news(self.get(key_of(entry)), entry):
            self._entries.setdefault(entry.service, {})[entry.instance] = entry
            self._changed([key_of(entry)])

    def remove(self, key: Key) -> None:
        """Take an instance out; one that is not there changes nothing."""
        service, instance = key
        group = self._entries.get(service, {})
        if group.pop(instance, None) is not None:
            if not group:
                del self._entries[service]
            self._changed([key])

    def set_route(self, route: Route) -> None:
        """Replace the route of its service; one without rules and splits removes it."""
        if route == self.route(route.service):
            return
        if route.rules or route.splits:
            self._routes[route.service] = route
        else:
            self._routes.pop(route.service, None)
        self._changed([(route.service, "")])

    def replace(self, entries: Iterable[Entry], routes: Iterable[Route]) -> None:
        """Be this and nothing else; watchers are told of what differs."""
        wanted = {key_of(entry): entry for entry in entries}
        for key in [*self._keys()]:
            if key not in wanted:
                self.remove(key)
        for entry in wanted.values():
            self.put(entry)
        by_service = {route.service: route for route in routes}
        for service in {*self._routes, *by_service}:
            self.set_route(by_service.get(service) or Route(service=service))

    def settle(self, *, settled: bool = True) -> None:
        """Say whether the absence of an instance now tells that it is gone."""
        if self.is_settled is not settled:
            self.is_settled = settled
            self._changed([])
            for watcher in self._watchers:
                watcher.start_over()

    # Who watches it.

    def watch(self, services: Sequence[str] = ()) -> Watcher:
        """Watch services that may not exist yet; without any, all. To be left by `unwatch`."""
        watcher = Watcher(self, frozenset(services))
        if self._is_closed:
            watcher.close()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Watch no longer."""
        self._watchers.discard(watcher)

    def close(self) -> None:
        """Let nobody watch any more: the process is about to stop."""
        self._is_closed = True
        for watcher in self._watchers:
            watcher.close()

    def changes(self, keys: Iterable[Key]) -> Change:
        """What these instances and routes are now. A route's key has no instance."""
        entries, left, routes = [], [], []
        for key in keys:
            service, instance = key
            if not instance:
                routes.append(self.route(service))
            elif (entry := self.get(key)) is not None:
                entries.append(entry)
            else:
                left.append(key)
        return Change(
            version=self.version,
            is_settled=self.is_settled,
            entries=tuple(entries),
            left=tuple(left),
            routes=tuple(routes),
        )

    def whole(self, services: frozenset[str]) -> Change:
        """All of what somebody watches."""
        keys = [key for key in self._keys() if not services or key[0] in services]
        routed = [(name, "") for name in self._routes if not services or name in services]
        return replace(self.changes([*keys, *routed]), is_whole=True)

    def _keys(self) -> Iterable[Key]:
        return ((service, name) for service, group in self._entries.items() for name in group)

    def _changed(self, keys: Sequence[Key]) -> None:
        self.version += 1
        self._is_fresh = False
        for key in keys:
            self._groups.pop(key[0], None)
            for watcher in self._watchers:
                watcher.touch(key)


def _is_news(known: Entry | None, entry: Entry) -> bool:
    """Whether anybody has to hear of it; of a load only when it has moved enough."""
    if known is None or known == entry:
        return known is None
    only_load = replace(known, load=entry.load) == entry
    return not only_load or abs(known.load - entry.load) >= LOAD_STEP - 1e-9
