"""What a model must keep."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from centers.decision.domain import DAY_US
from centers.decision.errors import DecisionReason
from centers.decision.rule import rule_of
from engine.decision.v1 import decision_pb2 as pb
from mesh.errors import MeshError


def model(event_type: str = "core.inflow", **fields: Any) -> pb.Model:
    return pb.Model(name="a model", event_type=event_type, **fields)


@pytest.mark.parametrize(
    ("refused", "reason", "place"),
    [
        (
            model("core.outflow"),
            DecisionReason.EVENT_TYPE_UNKNOWN,
            "model.event_type",
        ),
        (
            model(threshold=pb.Threshold(measure="amount")),
            DecisionReason.FIELD_UNKNOWN,
            "model.threshold.measure",
        ),
        (
            model(threshold=pb.Threshold(own_percentile_bp=9_500)),
            DecisionReason.MODEL_INVALID,
            "model.threshold.own_multiple_bp",
        ),
        (
            model("loan.offer_viewed", threshold=pb.Threshold(at_least=5)),
            DecisionReason.MODEL_INVALID,
            "model.threshold.measure",
        ),
        (
            model("loan.drawdown", exclusion_classes=["SALARY"]),
            DecisionReason.FIELD_UNKNOWN,
            "model.exclusion_classes",
        ),
        (
            model(exclusion_classes=["SALARY", "WAGES"]),
            DecisionReason.MODEL_INVALID,
            "model.exclusion_classes[1]",
        ),
        (
            model(cooldown=Duration(nanos=999)),
            DecisionReason.MODEL_INVALID,
            "model.cooldown",
        ),
        (
            model(absence=pb.Absence(event_type="loan.paid", within=Duration(seconds=1))),
            DecisionReason.EVENT_TYPE_UNKNOWN,
            "model.absence.event_type",
        ),
    ],
)
def test_model_that_asks_for_what_is_not_there_is_refused(
    refused: pb.Model, reason: DecisionReason, place: str
) -> None:
    """The place is named."""
    with pytest.raises(MeshError) as error:
        rule_of(refused)
    assert error.value.reason is reason
    assert [violation.field for violation in error.value.violations] == [place]


def test_filter_error_has_a_position_and_what_may_stand_there() -> None:
    """A console marks the place."""
    with pytest.raises(MeshError) as error:
        rule_of(model(filter="amount_fen >= 5 && chanel == 'APP'"))
    assert error.value.reason is DecisionReason.FILTER_INVALID
    assert error.value.metadata["position"] == "20"
    assert "one of the fields" in error.value.metadata["expected"]
    assert [violation.field for violation in error.value.violations] == ["model.filter"]


def test_what_a_model_leaves_unsaid_has_a_default() -> None:
    """Amount, one day, ninety days."""
    threshold = pb.Threshold(own_percentile_bp=9_500, own_multiple_bp=30_000)
    rule = rule_of(model(threshold=threshold))
    assert (rule.measure, rule.cooldown_us, rule.lead_us) == ("amount_fen", DAY_US, 90 * DAY_US)
    assert rule.filter is None
    assert rule.absence is None
