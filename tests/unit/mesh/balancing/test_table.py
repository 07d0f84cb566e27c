"""What a channel chooses from, and when it is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mesh.balancing import Asked, Listed, registered, source_of
from mesh.lane.dial import Endpoint
from mesh.registry import Entry, Route, Split
from tests.unit.mesh.balancing.world import HOST, entry


class Registry:
    """Counts how often it is asked for the route, which is made for each answer."""

    def __init__(self, *entries: Entry) -> None:
        self.entries: Sequence[Entry] = entries
        self.splits: tuple[Split, ...] = ()
        self.asked = 0

    def lookup(self, _service: str) -> Sequence[Entry]:
        return self.entries

    def route(self, service: str) -> Route:
        self.asked += 1
        return Route(service=service, splits=self.splits)


HERE = entry("a:1", socket="/s", host_id=HOST, lanes=("unix:/l", "tls:a:2"))
THERE = entry("b:1", socket="/s", lanes=("unix:/l", "tls:b:2"))


def test_an_instance_on_this_host_is_reached_by_its_sockets() -> None:
    """One on another host by its addresses."""
    endpoints = registered(Registry(HERE, THERE), "t", HOST)  # type: ignore[arg-type]
    assert endpoints() == (
        Endpoint("unix:/s", ("unix:/l", "tls:a:2")),
        Endpoint("b:1", ("tls:b:2",)),
    )


def test_a_table_stays_the_same_object_until_something_changes() -> None:
    """The registry may make new lists of the same entries as it likes."""
    registry = Registry(HERE)
    source = registered(registry, "t", HOST)  # type: ignore[arg-type]
    table = source.table(0.0)
    registry.entries = (replace(HERE),)
    assert source.table(0.0) is table
    assert source.table(10.0) is table
    registry.entries = (HERE, THERE)
    assert len(source.table(10.0).instances) == 2


def test_a_registry_is_asked_for_the_route_now_and_then() -> None:
    """Not at each call; a route that changed alone is seen all the same."""
    registry = Registry(HERE)
    source = registered(registry, "t", HOST)  # type: ignore[arg-type]
    for _ in range(100):
        source.table(1.0)
    assert registry.asked == 1
    registry.splits = (Split(version="1", weight=1),)
    assert source.table(1.2).route == registry.route("t")


def test_a_list_that_its_owner_changes_is_followed() -> None:
    """It is asked for each time."""
    endpoints = ["a:1"]
    source = Asked(lambda: endpoints)
    first = source.table(0.0)
    assert source.table(0.0) is first
    endpoints.append("b:1")
    assert [one.endpoint for one in source.table(0.0).instances] == ["a:1", "b:1"]


@pytest.mark.parametrize("given", [["a:1"], ("a:1",), lambda: ("a:1",)])
def test_endpoints_may_be_given_in_several_ways(given: object) -> None:
    """A list, a tuple, or what answers one; a source is itself."""
    source = source_of(given)  # type: ignore[arg-type]
    assert [one.endpoint for one in source.table(0.0).instances] == ["a:1"]
    assert source_of(source) is source
    assert source_of(Listed(())).table(0.0).instances == ()
