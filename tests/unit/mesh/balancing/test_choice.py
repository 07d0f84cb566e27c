"""Which instance a call goes to."""

from __future__ import annotations

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.context import PURPOSE
from mesh.registry import Route
from mesh.resilience import Outliers
from tests.unit.mesh.balancing.world import World, entry, rule, split


def names(count: int) -> list[str]:
    return [f"10.0.0.{number}:1" for number in range(count)]


async def test_calls_are_spread_evenly_over_instances_that_are_alike() -> None:
    """None gets more than another."""
    world = World(map(entry, names(7)))
    assert set(world.chosen(700).values()) == {100}


async def test_the_less_busy_of_two_is_chosen() -> None:
    """Of two instances it always is the same one."""
    world = World(map(entry, ("a", "b")))
    world.choose()
    world.places["a"].busy = 1.0
    assert world.chosen(20) == {"b": 20}


async def test_the_busiest_of_many_gets_no_calls() -> None:
    """Whoever it is drawn with is better."""
    world = World(map(entry, names(1_000)))
    world.choose()
    for busy, place in enumerate(world.places.values()):
        place.busy = float(busy)
    assert names(1_000)[-1] not in world.chosen(3_000)


async def test_what_is_lost_is_passed_over_until_it_is_back() -> None:
    """It has its share again at once."""
    world = World(map(entry, ("a", "b", "c")))
    world.choose()
    world.places["b"].is_wanted = False
    assert world.chosen(100).keys() == {"a", "c"}
    world.places["b"].is_wanted = True
    assert world.chosen(99)["b"] > 20


async def test_the_last_one_of_a_thousand_is_found() -> None:
    """Draws do not find it; looking at all does."""
    world = World(map(entry, names(1_000)))
    world.choose()
    for place in world.places.values():
        place.is_wanted = place.endpoint.address == names(1_000)[500]
    assert world.chosen(50) == {names(1_000)[500]: 50}


async def test_looking_at_all_is_done_now_and_then_alone() -> None:
    """However many calls come: else each would cost a thousand looks."""
    world = World(map(entry, names(1_000)))
    world.choose()
    looks = 0

    class Lost:
        def __get__(self, *_: object) -> bool:
            nonlocal looks
            looks += 1
            return False

    kind = type("Lost", (type(world.choose()),), {"is_wanted": Lost()})
    for place in world.places.values():
        del place.is_wanted
        place.__class__ = kind
    world.chosen(100)
    assert looks < 1_000 + 100 * 10


async def test_when_all_are_lost_calls_are_tried_all_the_same() -> None:
    """They fail by themselves, or wait until one is ready; each instance has its turn."""
    world = World(map(entry, ("a", "b")))
    world.choose()
    for place in world.places.values():
        place.is_wanted = False
    assert world.chosen(10) == {"a": 5, "b": 5}


async def test_a_call_that_failed_goes_elsewhere_where_there_is_another() -> None:
    """Else to where it was."""
    world = World(map(entry, ("a", "b")))
    first = world.choose()
    assert {world.choose(avoid=first) for _ in range(20)} == {*world.places.values()} - {first}
    world.entries = (entry("a"),)
    assert world.choose(avoid=world.places["a"]) is world.places["a"]


async def test_without_instances_there_is_no_choice() -> None:
    """The caller says so; once closed it is an error to ask."""
    world = World(())
    assert world.choose() is None
    assert not world.balancer.is_refused
    world.balancer.stop()
    with pytest.raises(grpc.aio.UsageError):
        world.choose()


# Priorities.


async def test_the_lowest_priority_is_called_while_one_of_it_can_be() -> None:
    """Calls go over to the next one when none can, and come back."""
    world = World([entry("a"), entry("b"), entry("far", priority=1)])
    world.choose()
    assert "far" not in world.chosen(50)
    world.places["a"].is_wanted = False
    assert world.chosen(50) == {"b": 50}
    world.places["b"].is_wanted = False
    assert world.chosen(50) == {"far": 50}
    world.places["a"].is_wanted = True
    assert world.chosen(50) == {"a": 50}


async def test_a_priority_whose_instances_are_ejected_is_passed_over() -> None:
    """While a later one is better."""
    world = World([entry("a"), entry("b", priority=1), entry("c", priority=1)])
    world.choose()
    world.fail("a", times=5)
    assert world.chosen(50).keys() == {"b", "c"}


# Routes.


async def test_weights_share_the_calls_among_versions() -> None:
    """Whatever the number of instances of each."""
    instances = [*map(entry, names(9)), entry("canary", version="2")]
    world = World(instances, Route(service="t", splits=split(v1=95, v2=5)))
    assert 30 <= world.chosen(1_000)["canary"] <= 75


async def test_a_version_of_no_weight_gets_no_calls() -> None:
    """Nor does one that no split names."""
    instances = [entry("a"), entry("b", version="2"), entry("c", version="3")]
    world = World(instances, Route(service="t", splits=split(v1=1, v2=0)))
    assert world.chosen(50) == {"a": 50}


async def test_a_header_decides_before_weights() -> None:
    """The first rule that holds; who carries no header goes by weight."""
    rules = (rule("X-Canary", "yes", "2"), rule("x-canary", "yes", "1"))
    world = World(
        [entry("a"), entry("b", version="2")],
        Route(service="t", rules=rules, splits=split(v1=1)),
    )
    assert world.chosen(50, (("x-canary", "yes"),)) == {"b": 50}
    assert world.chosen(50, (("x-canary", "no"),)) == {"a": 50}
    assert world.chosen(50) == {"a": 50}


async def test_what_the_current_request_carries_decides_too() -> None:
    """Values of one key are one text, as gRPC clients have it; bytes are no text."""
    world = World(
        [entry("a"), entry("b", version="2")],
        Route(service="t", rules=(rule(PURPOSE, "1,2", "2"),), splits=split(v1=1)),
    )
    world.carried = ((PURPOSE, "1"),)
    assert world.chosen(10, ((PURPOSE, "2"),)) == {"b": 10}
    assert world.chosen(10, ((PURPOSE, b"2"),)) == {"a": 10}


async def test_where_the_chosen_version_has_no_instance_all_take_its_calls() -> None:
    """Whether there is none, or none that can be called."""
    route = Route(service="t", rules=(rule("x", "2", "2"),), splits=split(v1=1, v2=1))
    world = World([entry("a"), entry("b", version="3")], route)
    assert world.chosen(100, (("x", "2"),)).keys() == {"a", "b"}
    assert world.chosen(100).keys() == {"a", "b"}
    world.entries = (*world.entries, entry("c", version="2"))
    assert world.chosen(100, (("x", "2"),)) == {"c": 100}
    world.places["c"].is_wanted = False
    assert world.chosen(100, (("x", "2"),)).keys() == {"a", "b"}


async def test_a_route_that_changes_alone_is_followed() -> None:
    """A tenth of a second later at the latest."""
    world = World([entry("a"), entry("b", version="2")])
    assert world.chosen(50).keys() == {"a", "b"}
    world.of_service = Route(service="t", splits=split(v2=1))
    world.now += 0.11
    assert world.chosen(50) == {"b": 50}


# The table.


async def test_an_instance_that_left_is_closed_and_one_that_stays_is_kept() -> None:
    """A table that is empty for a moment takes nothing away."""
    world = World(map(entry, ("a", "b")))
    world.choose()
    before = world.places
    world.entries = ()
    assert world.choose() is None
    assert world.places == before
    world.entries = (entry("b"), entry("c"))
    assert world.chosen(10).keys() == {"b", "c"}
    assert world.places["b"] is before["b"]
    await world.balancer.peers.close(None)
    assert before["a"].closed


async def test_a_new_process_at_an_old_place_begins_without_blame() -> None:
    """Whatever the one before it did."""
    world = World(map(entry, ("a", "b")))
    world.choose()
    world.fail("a", times=5)
    assert world.chosen(20) == {"b": 20}
    world.entries = (entry("a", instance="another"), entry("b"))
    assert world.chosen(20) == {"a": 10, "b": 10}


# Ejection and breakers.


async def test_an_ejected_instance_gets_no_calls_until_its_time_is_over() -> None:
    """It is back by itself; no call has to fail for it."""
    world = World(map(entry, ("a", "b", "c")))
    world.choose()
    world.fail("a", times=5)
    assert world.balancer.ejected == 1
    assert "a" not in world.chosen(50)
    world.now += 5.0
    assert world.chosen(60)["a"] == 20


async def test_ejection_is_ignored_where_more_than_half_would_be_gone() -> None:
    """The rest could not bear it."""
    world = World(
        [*(entry(name, version="2") for name in "abc"), *map(entry, names(9))],
        Route(service="t", splits=split(v2=1)),
    )
    world.choose()
    world.fail("a", times=5)
    assert world.chosen(60).keys() == {"b", "c"}
    world.fail("b", times=5)
    assert world.chosen(60).keys() == {"a", "b", "c"}


async def test_a_breaker_turns_calls_to_other_instances() -> None:
    """Almost all of them; now and then one is let through."""
    world = World(map(entry, ("a", "b")), outliers=Outliers(max_percent=0))
    world.choose()
    world.fail("a", times=100)
    chosen = world.chosen(100)
    assert chosen["b"] >= 85
    assert not world.balancer.is_refused


async def test_calls_are_refused_when_every_breaker_says_no() -> None:
    """They are not sent at all; another method of the same instances goes on."""
    world = World([entry("a")])
    world.choose()
    world.fail("a", times=100)
    answers = [world.choose() for _ in range(100)]
    assert answers.count(None) >= 85
    assert world.choose() is None or world.choose() is None
    assert world.balancer.is_refused
    assert world.balancer.choose("/t.T/Other") is world.places["a"]


@given(
    lost=st.sets(st.integers(0, 19)),
    tiers=st.lists(st.integers(0, 2), min_size=20, max_size=20),
    seed=st.integers(0, 2**16),
)
async def test_an_instance_that_can_be_called_is_called(
    lost: set[int], tiers: list[int], seed: int
) -> None:
    """And it is of the lowest priority that has one, whichever are lost."""
    instances = [entry(name, priority=tier) for name, tier in zip(names(20), tiers, strict=True)]
    world = World(instances, seed=seed)
    world.choose()
    for number in lost:
        world.places[names(20)[number]].is_wanted = False
    left = [tier for number, tier in enumerate(tiers) if number not in lost]
    for _ in range(10):
        chosen = repr(world.choose())
        if left:
            assert tiers[names(20).index(chosen)] == min(left)
            assert names(20).index(chosen) not in lost
