"""What it costs to choose an instance among a thousand, with everything to be looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import grpc

from loadtests.bench._figure import Direction, Figure
from loadtests.bench.discovery_stage import SERVICE, Stage
from mesh.channel import Channel, registered
from mesh.peer import Peer
from mesh.registry import Entry, HeaderRule, Route, Split
from mesh.registry.copy import Copy
from mesh.registry.watcher import Change

if TYPE_CHECKING:
    from loadtests.bench import Run

INSTANCES: Final = 1_000
NEW_VERSION: Final = 100
"""Of them, instances of the version that gets one call of twenty."""
EJECTED: Final = 50
FAILING: Final = 50
"""Instances of which every third call failed: their breakers are at work."""
BAR_US: Final = 3.0
BATCH: Final = 1_000
PATH: Final = "/engine.customer.v1.CustomerService/GetCustomer"
ROUTE: Final = Route(
    service=SERVICE,
    rules=(HeaderRule(header="x-canary", value="1", version="2"),),
    splits=(Split(version="1", weight=95), Split(version="2", weight=5)),
)


def choice_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    found: list[Figure] = []
    stage.run(_figures(run, found))
    yield from found


async def _figures(run: Run, found: list[Figure]) -> None:
    for name, route in (
        ("choosing among 1,000, with weights, ejection and breakers", ROUTE),
        ("… without weights", None),
    ):
        async with Channel(SERVICE, registered(_table(route), SERVICE, "here")) as channel:
            _trouble(channel)
            found.append(_figure(run, name, channel))


def _figure(run: Run, name: str, channel: Channel) -> Figure:
    return run.absolute(
        name,
        lambda: 1e6 / run.rate(lambda: _chosen(channel)),
        unit="µs",
        bar=BAR_US,
        direction=Direction.AT_MOST,
    )


def _chosen(channel: Channel) -> int:
    choose = channel.balancer.choose
    for _ in repeat(None, BATCH):
        choose(PATH)
    return BATCH


def _table(route: Route | None) -> Any:
    """A table of a thousand, as a client of the registry keeps it."""
    table = Copy()
    entries = tuple(
        Entry(
            service=SERVICE,
            instance=f"{number:04}",
            address=f"127.0.0.1:{10_000 + number}",
            socket="",
            host_id=f"host {number}",
            pid=os.getpid(),
            version="2" if number < NEW_VERSION else "1",
        )
        for number in range(INSTANCES)
    )
    table.apply(Change(version=1, is_whole=True, entries=entries))
    if route is not None:
        table.set_route(route)
    return table


def _trouble(channel: Channel) -> None:
    """Let some instances be ejected, and the breakers of others be at work."""
    peers: set[Peer] = set()
    while len(peers) < EJECTED + FAILING:
        peer = channel.choose(PATH)
        assert peer is not None
        peers.add(peer)
    bad, failing = [*peers][:EJECTED], [*peers][EJECTED:]
    for peer in bad:
        for _ in range(20):
            channel.balancer.failed(peer, PATH, grpc.StatusCode.UNAVAILABLE)
    for peer in failing:
        channel.balancer.failed(peer, PATH, grpc.StatusCode.UNAVAILABLE)
    if not channel.balancer.ejected:
        raise RuntimeError("no instance was ejected: the figure would say nothing")
