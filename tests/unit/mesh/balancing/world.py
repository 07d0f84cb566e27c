"""A service whose instances, and whose clock and luck, a test has in its hands."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from mesh.balancing import Balancer, registered
from mesh.lane.dial import Endpoint
from mesh.registry import Entry, HeaderRule, Route, Split
from mesh.resilience import Health, Outliers, Resilience

PATH = "/t.T/Do"
HOST = "here"


class Place:
    """Stands where a peer would: it can be lost, and says what a call costs."""

    def __init__(self, endpoint: Endpoint, health: Health) -> None:
        self.endpoint = endpoint
        self.health = health
        self.is_wanted = True
        self.busy = 0.0
        self.closed = False

    def cost(self, now: float) -> float:
        return self.busy

    async def close(self, grace_s: float | None) -> None:
        self.closed = True

    def __repr__(self) -> str:
        return self.endpoint.address


def entry(name: str, *, version: str = "1", priority: int = 0, **more: Any) -> Entry:
    """An instance on another host; its address is its name."""
    facts = {"socket": "", "host_id": "there", "pid": 1, "instance": name, **more}
    return Entry(service="t", address=name, version=version, priority=priority, **facts)


class World:
    """A registry with one service, and a balancer that looks at it.

    Args:
        entries: the instances that there are at first.
        route: how calls are spread.
        outliers: when instances are ejected.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        route: Route | None = None,
        outliers: Outliers | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.now = 0.0
        self.entries: Sequence[Entry] = tuple(entries)
        self.of_service = route or Route(service="t")
        self.random = random.Random(seed)
        self.carried: tuple[tuple[str, str | bytes], ...] = ()
        self.balancer = Balancer(
            registered(self, "t", HOST),  # type: ignore[arg-type]  # of a registry it is asked these two
            self.make,  # type: ignore[arg-type]  # they stand in for peers
            lambda given: [*self.carried, *(given or ())],
            Resilience(outliers=outliers or Outliers()),
            monotonic=lambda: self.now,
            draw=self.random.random,
        )

    def lookup(self, _service: str) -> Sequence[Entry]:
        return self.entries

    def route(self, _service: str) -> Route:
        return self.of_service

    def make(self, endpoint: Endpoint) -> Place:
        return Place(endpoint, Health(lambda: self.now, self.random.random))

    @property
    def places(self) -> dict[str, Any]:
        """What stands for each instance, by its name."""
        return {place.endpoint.address: place for place in self.balancer.peers.known.values()}

    def choose(self, given: Any = None, avoid: Any = None) -> Any:
        """The place for a call."""
        return self.balancer.choose(PATH, given, avoid)

    def chosen(self, calls: int, given: Any = None) -> Counter[str]:
        """How many of some calls go where."""
        return Counter(repr(self.choose(given)) for _ in range(calls))

    def fail(self, name: str, times: int = 1) -> None:
        """So many calls to an instance fail."""
        for _ in range(times):
            self.balancer.failed(self.places[name], PATH, grpc.StatusCode.UNAVAILABLE)


def rule(header: str, value: str, version: str) -> HeaderRule:
    return HeaderRule(header=header, value=value, version=version)


def split(**weights: int) -> tuple[Split, ...]:
    """Weights by versions, named `v1`, `v2`, and so on."""
    return tuple(Split(version=name[1:], weight=weight) for name, weight in weights.items())
