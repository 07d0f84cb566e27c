"""The registry's table: versions, snapshots, watchers."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import given

from mesh.registry import HeaderRule, Route, Split, State
from mesh.registry.table import LOAD_STEP, Table
from mesh.registry.watcher import MAX_PENDING, Change, Key, Watcher, key_of
from tests.unit.mesh.registry.entries import entry

CANARY = Route(service="customer", splits=(Split(version="2", weight=5),))


async def told(watcher: Watcher) -> Change:
    """What a watcher is told now, without waiting."""
    change = await watcher.next(0)
    assert change is not None
    return change


def test_a_snapshot_is_made_once_for_each_version() -> None:
    """Many ask for it between two changes."""
    table = Table()
    table.put(entry())
    snapshot = table.snapshot()
    assert snapshot.of("customer") == (entry(),)
    assert snapshot.of("action") == ()
    assert table.snapshot() is snapshot
    table.put(entry(instance="b"))
    assert table.snapshot().version > snapshot.version
    assert snapshot.of("customer") == (entry(),)


def test_entries_stand_in_the_order_of_their_names() -> None:
    """Whatever order they came in: who looks twice sees no difference."""
    table = Table()
    for name in ("b", "c", "a"):
        table.put(entry(instance=name))
    assert [found.instance for found in table.of("customer")] == ["a", "b", "c"]


def test_only_what_changes_makes_a_version() -> None:
    """A renewal that says nothing new wakes nobody."""
    table = Table()
    table.put(entry())
    version = table.version
    table.put(entry())
    table.remove(("customer", "unknown"))
    table.set_route(Route(service="customer"))
    assert table.version == version


def test_a_load_is_told_when_it_has_moved_enough() -> None:
    """Small steps that add up are told, too."""
    table = Table()
    table.put(entry())
    version = table.version
    table.put(entry(load=LOAD_STEP * 0.6))
    assert table.version == version
    table.put(entry(load=LOAD_STEP))
    assert table.version == version + 1
    table.put(entry(load=LOAD_STEP * 0.9, state=State.DRAINING))
    assert table.of("customer")[0].state is State.DRAINING


async def test_a_watcher_is_told_the_whole_first_and_then_what_changes() -> None:
    """Entries, those that left, and routes."""
    table = Table()
    table.put(entry())
    with table.watch() as watcher:
        first = await told(watcher)
        assert first.is_whole
        assert first.entries == (entry(),)
        table.put(entry(instance="b"))
        table.remove(("customer", "a"))
        table.set_route(CANARY)
        change = await told(watcher)
    assert not change.is_whole
    assert change.entries == (entry(instance="b"),)
    assert change.left == (("customer", "a"),)
    assert change.routes == (CANARY,)
    assert change.version > first.version
    assert table.watchers == 0


async def test_a_watch_from_before_the_first_instance_is_told_of_it() -> None:
    """And it is told that there is none before."""
    table = Table()
    with table.watch(["customer"]) as watcher:
        first = await told(watcher)
        assert first.is_whole
        assert first.entries == ()
        table.put(entry())
        assert (await told(watcher)).entries == (entry(),)


async def test_the_last_instance_leaving_is_told() -> None:
    """A service without any is not the same as one of which there is no news."""
    table = Table()
    table.put(entry())
    with table.watch(["customer"]) as watcher:
        await told(watcher)
        table.remove(key_of(entry()))
        assert (await told(watcher)).left == (("customer", "a"),)
    assert table.snapshot().entries == {}


async def test_a_watcher_of_some_services_hears_nothing_of_others() -> None:
    """Not even that there is something."""
    table = Table()
    with table.watch(["customer"]) as watcher:
        await told(watcher)
        table.put(entry("action"))
        assert watcher.pending == 0
        change = await told(watcher)
        assert (change.entries, change.left, change.routes) == ((), (), ())


async def test_what_changes_several_times_is_told_once_as_it_is_then() -> None:
    """A slow watcher gets no history."""
    table = Table()
    with table.watch() as watcher:
        await told(watcher)
        for load in range(10):
            table.put(entry(load=load / 10))
        table.put(entry(instance="b"))
        table.remove(("customer", "b"))
        assert watcher.pending == 2
        change = await told(watcher)
    assert change.entries == (entry(load=0.9),)
    assert change.left == (("customer", "b"),)


async def test_a_watcher_that_is_too_far_behind_is_told_the_whole() -> None:
    """What is kept for him has a bound."""
    table = Table()
    with table.watch() as watcher:
        await told(watcher)
        for number in range(MAX_PENDING + 1):
            table.put(entry(instance=str(number)))
            assert watcher.pending <= MAX_PENDING
        change = await told(watcher)
    assert change.is_whole
    assert len(change.entries) == MAX_PENDING + 1


async def test_watchers_of_a_table_that_closes_are_told_no_more() -> None:
    """Those that come later are not kept waiting either."""
    table = Table()
    with table.watch() as watcher:
        await told(watcher)
        table.close()
        assert await watcher.next(60) is None
    with table.watch() as late:
        assert await late.next(60) is None


async def test_watchers_are_told_the_whole_once_it_is_settled() -> None:
    """Until then they keep what is not named; from then on that is gone."""
    table = Table(settled=False)
    with table.watch() as watcher:
        assert not (await told(watcher)).is_settled
        table.settle()
        change = await told(watcher)
    assert change.is_whole
    assert change.is_settled


def test_replacing_all_tells_only_of_what_differs() -> None:
    """The table may be read anew as often as one likes."""
    table = Table()
    table.replace([entry(), entry("action")], [CANARY])
    version = table.version
    table.replace([entry(), entry("action")], [CANARY])
    assert table.version == version
    rule = HeaderRule(header="x-canary", value="1", version="2")
    table.replace([entry()], [replace(CANARY, rules=(rule,))])
    assert table.version == version + 2
    assert table.snapshot().entries == {"customer": (entry(),)}
    table.replace([entry()], [])
    assert table.route("customer") == Route(service="customer")


KEYS = st.tuples(st.sampled_from(["s", "t"]), st.sampled_from(["a", "b", "c"]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.sampled_from(list(State))),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("look")),
        st.tuples(st.just("unsettle")),
    ),
    max_size=40,
)


@given(steps=STEPS)
async def test_a_watcher_ends_with_what_the_table_has(steps: list[tuple[object, ...]]) -> None:
    """Whatever happened between his looks, and however seldom he looks."""
    table, seen = Table(), dict[Key, object]()
    with table.watch(["s"]) as watcher:
        for step in [*steps, ("look",)]:
            match step:
                case ("put", (str(service), str(name)), State() as state):
                    table.put(entry(service, name, state=state))
                case ("remove", (str(service), str(name))):
                    table.remove((service, name))
                case ("unsettle",):
                    table.settle(settled=not table.is_settled)
                case _:
                    change = await told(watcher)
                    if change.is_whole:
                        seen.clear()
                    seen |= {key_of(found): found for found in change.entries}
                    for key in change.left:
                        seen.pop(key, None)
        assert seen == {key_of(found): found for found in table.of("s")}
