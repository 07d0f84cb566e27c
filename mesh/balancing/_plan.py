"""Which instances the calls of a channel go to: worked out once for each state of things.

A header rule, or else a split by weight, picks a version. Of its instances the lowest
priority is called of which at most half are ejected; where there is none, ejection is
ignored: when most of them fail, the fault is hardly theirs, and the rest could not bear it.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from mesh.balancing._pool import Pool
from mesh.balancing._table import Instance
from mesh.context import REPEATED
from mesh.peer import Peer

if TYPE_CHECKING:
    from mesh.registry import HeaderRule, Route

Members: TypeAlias = Sequence[tuple[Instance, Peer]]
Pairs: TypeAlias = Iterable[tuple[str, str | bytes]]
Carried: TypeAlias = Callable[[Any], Pairs]
"""Answers all metadata of a call from that which it is given."""


class Group:
    """Instances that the same calls go to, by priority.

    Args:
        members: there is one at least.
        draw: a random number from 0 up to 1.
    """

    def __init__(self, members: Members, draw: Callable[[], float]) -> None:
        self._draw = draw
        tiers = _tiers(members)
        kept = [live for peers in tiers if 2 * len(live := _live(peers)) >= len(peers)]
        self.pools = tuple(Pool(peers, draw) for peers in kept or tiers)
        """In the order in which they are asked."""
        self.first = tiers[0]
        """Whom to try when none can be called."""

    def choose(self, path: str, now: float, avoid: Peer | None) -> Peer | None:
        """The instance for a call; None when none can be called."""
        for pool in self.pools:
            peer = pool.choose(path, now, avoid)
            if peer is not None:
                return peer
        return None

    @property
    def refused(self) -> bool:
        """Whether the last choice passed over an instance for its breaker."""
        return any(pool.refused for pool in self.pools)


class Plan:
    """What a table and the ejections of the moment come to.

    Args:
        members: the instances of the table, with their peers; there is one at least.
        route: how calls are spread over versions; None: they are not.
        draw: a random number from 0 up to 1.
    """

    def __init__(self, members: Members, route: Route | None, draw: Callable[[], float]) -> None:
        self._draw = draw
        self.all = Group(members, draw)
        self._versions = _versions(members, draw)
        splits = [split for split in route.splits if split.weight > 0] if route else []
        self._split = [self._versions.get(split.version, self.all) for split in splits]
        self._weights = [*accumulate(split.weight for split in splits)]
        self._rules = _known(route.rules if route else (), self._versions)
        self._headers = {header for header, _, _ in self._rules}
        self._asks_request = not self._headers.isdisjoint(REPEATED)
        """Whether a rule is about what a call has of the current request."""
        self.only = members[0][1] if len(members) == 1 else None
        """The one instance there is."""
        self.is_routed = bool(self._rules or self._weights)
        """Whether not all calls go to all instances."""

    def group(self, carried: Carried, given: Any) -> Group:
        """The instances for a call."""
        if self._rules and (given or self._asks_request):
            found = self._ruled(carried(given) if self._asks_request else given)
            if found is not None:
                return found
        weights = self._weights
        if not weights:
            return self.all
        return self._split[bisect(weights, self._draw() * weights[-1])]

    def _ruled(self, carried: Pairs) -> Group | None:
        """The version that a header rule names; several values are one, as gRPC joins them."""
        texts: dict[str, str] = {}
        headers = self._headers
        for key, value in carried:
            if key in headers and isinstance(value, str):
                texts[key] = f"{texts[key]},{value}" if key in texts else value
        if not texts:
            return None
        for header, value, group in self._rules:
            if texts.get(header) == value:
                return group or self.all
        return None


def _tiers(members: Members) -> list[list[Peer]]:
    tiers: dict[int, list[Peer]] = {}
    for instance, peer in members:
        tiers.setdefault(instance.priority, []).append(peer)
    return [tiers[priority] for priority in sorted(tiers)]


def _live(peers: Iterable[Peer]) -> list[Peer]:
    return [peer for peer in peers if not peer.health.ejected_until]


def _versions(members: Members, draw: Callable[[], float]) -> dict[str, Group]:
    versions: dict[str, list[tuple[Instance, Peer]]] = {}
    for member in members:
        versions.setdefault(member[0].version, []).append(member)
    return {version: Group(found, draw) for version, found in versions.items()}


def _known(
    rules: Iterable[HeaderRule], versions: Mapping[str, Group]
) -> list[tuple[str, str, Group | None]]:
    """The rules, each with the instances of its version; None where that has none."""
    return [(rule.header.lower(), rule.value, versions.get(rule.version)) for rule in rules]
