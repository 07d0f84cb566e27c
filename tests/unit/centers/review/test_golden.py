"""The review of scenario A1, from the events of its centres."""

from __future__ import annotations

import random

import pytest

from centers.review import wire
from centers.review.service import Review
from centers.review.tally_rows import Tallies
from engine.review.v1 import review_pb2
from mesh.storage import Store
from tests.unit.centers.review.conftest import hear
from tests.unit.centers.review.golden import COUNTS, STAGES, golden
from tests.unit.centers.review.telling import VERSION


@pytest.fixture
def review(store: Store) -> Review:
    return Review(Tallies(store))


async def shown(review: Review) -> review_pb2.Funnel:
    found, tally = await review.funnel(VERSION)
    return wire.funnel(VERSION, found, tally.as_of)


async def test_the_funnel_of_a1(store: Store, review: Review) -> None:
    """Every stage with its denominator, and every side count, exactly."""
    await hear(store, golden())
    funnel = await shown(review)
    assert {stage.name: stage.count for stage in funnel.stages} == STAGES
    assert dict(funnel.counts) == COUNTS
    whole = {stage.name: (stage.denominator, stage.denominator_count) for stage in funnel.stages}
    assert whole == {
        "opportunities": ("", 0),
        "treated": ("opportunities", 1_300),
        "tasks": ("treated", 1_170),
        "attempted": ("tasks", 1_050),
        "reached": ("attempted", 900),
        "intent": ("reached", 598),
        "converted": ("treated", 1_170),
    }
    assert funnel.stages[-1].share_bp == 812


async def test_the_effect_of_a1(store: Store, review: Review) -> None:
    """8.1 % against 3.1 %: 5.0 points more, between 1.7 and 8.4."""
    await hear(store, golden())
    assert wire.effect(await review.effect(VERSION)) == review_pb2.Effect(
        scene_version=VERSION,
        metric="net_external_inflow",
        treated=review_pb2.ArmResult(customers=1_170, converted=95, rate_ppm=81_197),
        holdout=review_pb2.ArmResult(customers=130, converted=4, rate_ppm=30_769),
        lift_ppm=50_427,
        lift_low_ppm=16_869,
        lift_high_ppm=83_986,
        sample_ratio_p_ppm=1_000_000,
        planned_holdout_bp=1_000,
    )


async def test_the_order_of_keys_and_topics_does_not_matter(store: Store, review: Review) -> None:
    """Only events of one topic and key come in order; some come again, long after."""
    told = list(golden())
    keys = random.Random(7).sample(range(10**6), len({(one.topic, one.key) for one in told}))
    places = dict(zip(dict.fromkeys((one.topic, one.key) for one in told), keys, strict=True))
    shuffled = sorted(told, key=lambda one: places[one.topic, one.key])
    await hear(store, shuffled)
    first = await shown(review)
    assert {stage.name: stage.count for stage in first.stages} == STAGES
    await hear(store, random.Random(8).sample(told, 1_500))
    assert await shown(review) == first
