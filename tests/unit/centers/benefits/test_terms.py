"""Terms as they are written."""

from __future__ import annotations

import pytest

from centers.benefits import wire
from centers.benefits.errors import BenefitsReason
from engine.benefits.v1 import benefits_pb2
from mesh.errors import MeshError


@pytest.mark.parametrize("field", ["start_time", "end_time"])
@pytest.mark.parametrize("seconds", [10**15, -(10**15), 253_402_300_800])
def test_a_time_that_does_not_exist_is_refused_with_its_field(field: str, seconds: int) -> None:
    """It is the author's mistake, not ours."""
    activity = benefits_pb2.Activity()
    getattr(activity, field).seconds = seconds
    with pytest.raises(MeshError) as refused:
        wire.terms(activity)
    assert refused.value.reason is BenefitsReason.WINDOW_INVALID
    assert [one.field for one in refused.value.violations] == [f"activity.{field}"]
