"""Whatever happens, and in whatever order it is told, the counts are those of the sources."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centers.review.errors import ReviewReason
from centers.review.funnel import Funnel
from centers.review.service import Review
from centers.review.statistics import Arm
from centers.review.tally_rows import Tallies
from engine.mesh.v1.event_pb2 import Event
from mesh.errors import MeshError
from mesh.events import event
from mesh.storage import Store
from tests.unit.centers.review.conftest import hear
from tests.unit.centers.review.stories import STORIES, Story, counted, delivered, told
from tests.unit.centers.review.telling import (
    NOON,
    VERSION,
    contact,
    opportunity,
    result,
    scene,
    task,
)

_versions = count(1_000)
"""One for each example: they share a database."""


@pytest.fixture
def review(store: Store) -> Review:
    return Review(Tallies(store))


def stages(funnel: Funnel) -> dict[str, int]:
    return {stage.name: stage.count for stage in funnel.stages}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(stories=STORIES, seed=st.integers(0, 2**32))
async def test_counts_are_monotone_and_reconcile_to_the_sources(
    store: Store, review: Review, stories: list[Story], seed: int
) -> None:
    """After all is told, in any order, some of it twice; and never a part above its whole."""
    version = next(_versions)
    events = list(delivered(told(stories, version), Random(seed)))
    half = len(events) // 2
    await hear(store, [*told([], version), *events[:half]])
    assert_monotone((await review.funnel(version))[0])
    await hear(store, events[half:])
    found, _ = await review.funnel(version)
    assert_monotone(found)
    expected_stages, expected_counts = counted(stories)
    assert stages(found) == {name: expected_stages[name] for name in stages(found)}
    assert found.counts == {name: expected_counts[name] for name in found.counts}
    assert expected_stages.keys() <= stages(found).keys()
    assert expected_counts.keys() <= found.counts.keys()


def assert_monotone(funnel: Funnel) -> None:
    counts = stages(funnel)
    for stage in funnel.stages:
        assert not stage.denominator or stage.count <= counts[stage.denominator], stage


async def test_intention_to_treat_counts_all_who_were_drawn(store: Store, review: Review) -> None:
    """Those without a task and those whose task was cancelled count with the treated."""
    told = [
        scene(holdout_bp=2_500),
        opportunity(1),
        opportunity(2, suppressed=1),
        opportunity(3, state=7),
        opportunity(4, held_out=True),
    ]
    await hear(store, [*told, *(result(number, number) for number in (1, 2, 3, 4))])
    effect = await review.effect(VERSION)
    assert effect.treated == Arm(customers=3, converted=3)
    assert effect.holdout == Arm(customers=1, converted=1)


async def test_a_customer_is_one_however_often_he_is_drawn(store: Store, review: Review) -> None:
    """With two opportunities in two windows, and two results."""
    later = NOON + timedelta(days=40)
    drawn = [opportunity(1, customer_id=9), opportunity(2, customer_id=9, at=later)]
    await hear(store, [scene(), *drawn])
    await hear(store, [result(1, 9), result(2, 9, after=timedelta(days=41))])
    effect = await review.effect(VERSION)
    assert effect.treated == Arm(customers=1, converted=1)
    found, _ = await review.funnel(VERSION)
    assert (stages(found)["opportunities"], stages(found)["converted"]) == (2, 1)


async def test_a_result_counts_for_each_version_that_drew_the_customer(
    store: Store, review: Review
) -> None:
    """By the metric of each: a loan tells nothing of a scene about inflows."""
    other = VERSION + 1
    await hear(store, [scene(), scene(version=other, metric="loan_drawdown")])
    await hear(store, [opportunity(1, customer_id=9)])
    await hear(store, [opportunity(2, customer_id=9, version=other), result(1, 9, metric=2)])
    assert (await review.effect(VERSION)).treated.converted == 0
    assert (await review.effect(other)).treated.converted == 1


async def test_a_reversed_result_is_no_conversion_any_more(store: Store, review: Review) -> None:
    """Whichever is told first of the two, and of the opportunity (X10)."""
    first, back = result(1, 1), result(1, 1, reversed_=True)
    await hear(store, [scene(), opportunity(1), first])
    assert (await review.effect(VERSION)).treated.converted == 1
    await hear(store, [back])
    assert (await review.effect(VERSION)).treated.converted == 0
    await hear(store, [first])
    assert (await review.effect(VERSION)).treated.converted == 0


async def test_a_second_task_of_an_opportunity_is_no_second_customer(
    store: Store, review: Review
) -> None:
    """A scene of two nodes has more tasks than customers with one."""
    second = task(1)
    second.payload = second.payload.replace(b"\x08\x01", b"\x08\x02", 1)
    await hear(store, [scene(), opportunity(1), task(1), second])
    found, _ = await review.funnel(VERSION)
    assert (stages(found)["tasks"], found.counts["tasks_rm"]) == (1, 2)


async def test_the_newest_fact_dates_the_funnel(store: Store, review: Review) -> None:
    """Also when it is one of money, and one that comes late; facts of other scenes do not."""
    await hear(store, [scene(), opportunity(1), opportunity(2, version=VERSION + 1)])
    assert (await review.funnel(VERSION))[1].as_of == NOON
    await hear(store, [result(1, 1, after=timedelta(days=2)), contact(1, 1)])
    await hear(store, [result(2, 2, after=timedelta(days=3))])
    assert (await review.funnel(VERSION))[1].as_of == NOON + timedelta(days=2)


async def test_a_version_that_nobody_told_of_is_unknown(store: Store, review: Review) -> None:
    """Rather than one without customers."""
    await hear(store, [opportunity(1)])
    for ask in (review.funnel, review.effect):
        with pytest.raises(MeshError) as refused:
            await ask(VERSION)
        assert refused.value.reason is ReviewReason.SCENE_VERSION_UNKNOWN


async def test_what_belongs_to_no_scene_changes_nothing(store: Store, review: Review) -> None:
    """A contact by hand, a benefit at the counter, an event of another kind."""
    other = event(Event(), topic="action")
    await hear(store, [scene(), contact(1, 0, version=0), task(1, version=0), other])
    found, _ = await review.funnel(VERSION)
    assert not any(found.counts.values())
