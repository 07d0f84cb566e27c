"""Behaviours, funnels and effects as the contract shows them."""

from __future__ import annotations

from datetime import datetime

from centers.review import effect as domain
from centers.review.behaviors import Entry
from centers.review.funnel import Funnel
from centers.review.statistics import Arm, basis_points
from engine.mesh.v1.event_pb2 import AuditRecord
from engine.review.v1 import review_pb2


def behavior(entry: Entry) -> review_pb2.Behavior:
    """An entry of the log."""
    return review_pb2.Behavior(
        position=entry.position,
        record=AuditRecord.FromString(entry.told.record),
        source=entry.told.source,
        seal=entry.seal,
    )


def funnel(scene_version: int, found: Funnel, as_of: datetime) -> review_pb2.Funnel:
    """A funnel, each stage with its denominator."""
    message = review_pb2.Funnel(scene_version=scene_version, counts=found.counts)
    counts = {stage.name: stage.count for stage in found.stages}
    for stage in found.stages:
        whole = counts.get(stage.denominator, 0)
        message.stages.add(
            name=stage.name,
            count=stage.count,
            denominator=stage.denominator,
            denominator_count=whole,
            share_bp=basis_points(stage.count, whole),
        )
    message.as_of.FromDatetime(as_of)
    return message


def effect(found: domain.Effect) -> review_pb2.Effect:
    """An effect, or why none is shown."""
    return review_pb2.Effect(
        scene_version=found.plan.scene_version,
        metric=found.plan.metric,
        treated=_arm(found.treated, found.treated_ppm),
        holdout=_arm(found.holdout, found.holdout_ppm),
        lift_ppm=found.lift.lift_ppm,
        lift_low_ppm=found.lift.low_ppm,
        lift_high_ppm=found.lift.high_ppm,
        sample_ratio_p_ppm=found.sample_ratio_p_ppm,
        sample_ratio_mismatch=found.hidden_because == domain.SAMPLE_RATIO_MISMATCH,
        hidden_because=found.hidden_because,
        planned_holdout_bp=found.plan.holdout_bp,
    )


def _arm(arm: Arm, rate_ppm: int) -> review_pb2.ArmResult:
    return review_pb2.ArmResult(customers=arm.customers, converted=arm.converted, rate_ppm=rate_ppm)
