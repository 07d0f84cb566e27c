"""A copy of the registry's table, as a client of it keeps one: look-ups cost next to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mesh.registry._base import Entry, Route, State
from mesh.registry.watcher import Change, Key, key_of


class Copy:
    """The table as it was told last. Nothing in it ever expires by itself."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {}
        self._all: dict[str, tuple[Entry, ...]] = {}
        self._serving: dict[str, tuple[Entry, ...]] = {}
        self._routes: dict[str, Route] = {}

    def lookup(self, service: str) -> tuple[Entry, ...]:
        """Instances that take calls; the same object until one of them changes."""
        return self._serving.get(service, ())

    def services(self) -> Mapping[str, tuple[Entry, ...]]:
        """All instances by service."""
        return {service: entries for service, entries in self._all.items() if entries}

    def route(self, service: str) -> Route:
        """The route of a service; an empty one when there is none."""
        return self._routes.get(service) or Route(service=service)

    def apply(self, change: Change) -> None:
        """Know what has changed.

        A table that is not settled may have lost what lives: what it does not name stays.
        """
        touched = {entry.service for entry in change.entries} | {key[0] for key in change.left}
        if change.is_whole and change.is_settled:
            touched |= self._forget(
                {key_of(entry) for entry in change.entries},
                {route.service for route in change.routes},
            )
        for entry in change.entries:
            self._entries.setdefault(entry.service, {})[entry.instance] = entry
        for service, instance in change.left:
            self._entries.get(service, {}).pop(instance, None)
        for route in change.routes:
            self.set_route(route)
        self._gather(touched)

    def set_route(self, route: Route) -> None:
        """Know a route."""
        if route.rules or route.splits:
            self._routes[route.service] = route
        else:
            self._routes.pop(route.service, None)

    def _forget(self, but: set[Key], but_routes: set[str]) -> set[str]:
        """Forget all others; the services that had any."""
        gone = [
            (service, name)
            for service, group in self._entries.items()
            for name in group
            if (service, name) not in but
        ]
        for service, name in gone:
            del self._entries[service][name]
        self._routes = {name: r for name, r in self._routes.items() if name in but_routes}
        return {service for service, _ in gone}

    def _gather(self, services: Iterable[str]) -> None:
        for service in services:
            group = self._entries.get(service, {})
            entries = tuple(group[name] for name in sorted(group))
            serving = tuple(entry for entry in entries if entry.state is State.SERVING)
            if entries != self._all.get(service):
                self._all[service] = entries
            if serving != self._serving.get(service):
                self._serving[service] = serving
