"""A client's copy of the table."""

from __future__ import annotations

from mesh.registry import Route, Split, State
from mesh.registry.copy import Copy
from mesh.registry.watcher import Change
from tests.unit.mesh.registry.entries import entry

CANARY = Route(service="customer", splits=(Split(version="2", weight=5),))


def whole(*instances: str, settled: bool = True, routes: tuple[Route, ...] = ()) -> Change:
    """A table that has these instances."""
    entries = tuple(entry(instance=name) for name in instances)
    return Change(version=1, is_whole=True, is_settled=settled, entries=entries, routes=routes)


def names(copy: Copy) -> list[str]:
    """Instances that are looked up."""
    return [found.instance for found in copy.lookup("customer")]


def test_a_whole_table_takes_the_place_of_the_one_before() -> None:
    """With its routes."""
    copy = Copy()
    copy.apply(whole("a", "b", routes=(CANARY,)))
    assert copy.route("customer") == CANARY
    copy.apply(whole("b", "c"))
    assert names(copy) == ["b", "c"]
    assert copy.route("customer") == Route(service="customer")


def test_a_table_that_is_not_settled_takes_nothing_away() -> None:
    """What it does not name may live; once it is settled that is known."""
    copy = Copy()
    copy.apply(whole("a", routes=(CANARY,)))
    copy.apply(whole("b", settled=False))
    assert names(copy) == ["a", "b"]
    assert copy.route("customer") == CANARY
    copy.apply(whole("b"))
    assert names(copy) == ["b"]


def test_changes_add_replace_and_remove() -> None:
    """Also of an instance that was not known."""
    copy = Copy()
    copy.apply(whole("a", "b"))
    drained = entry(instance="a", state=State.DRAINING)
    left = (("customer", "b"), ("customer", "unknown"), ("action", "unknown"))
    copy.apply(Change(version=2, entries=(drained, entry(instance="c")), left=left))
    assert names(copy) == ["c"]
    assert copy.services() == {"customer": (drained, entry(instance="c"))}


def test_what_did_not_change_is_the_same_object() -> None:
    """A channel works out its plan anew only for another one."""
    copy = Copy()
    copy.apply(whole("a"))
    before = copy.lookup("customer")
    copy.apply(whole("a"))
    copy.apply(Change(version=2, entries=(entry("action"),)))
    copy.apply(Change(version=3, entries=(entry(instance="z", state=State.STARTING),)))
    assert copy.lookup("customer") is before


def test_a_service_without_an_instance_is_none() -> None:
    """After the last one left, as before the first one came."""
    copy = Copy()
    copy.apply(whole("a"))
    copy.apply(Change(version=2, left=(("customer", "a"),)))
    assert copy.lookup("customer") == ()
    assert copy.services() == {}
