"""Times at the ends of the calendar, and beyond."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from centers.performance import wire
from centers.performance.domain import History, Opportunity, attribute
from centers.performance.errors import PerformanceReason
from engine.performance.v1 import performance_pb2
from mesh.errors import MeshError


@pytest.mark.parametrize("seconds", [10**15, -(10**15), 253_402_300_800])
def test_a_time_that_does_not_exist_is_refused_with_its_field(seconds: int) -> None:
    """It is the caller's mistake, not ours."""
    result = performance_pb2.Result(business_key="R-1")
    result.occurred_time.seconds = seconds
    with pytest.raises(MeshError) as refused:
        wire.fact(result)
    assert refused.value.reason is PerformanceReason.DATE_INVALID
    assert [one.field for one in refused.value.violations] == ["results.occurred_time"]


@pytest.mark.parametrize("year", [1, 9999])
def test_an_opportunity_at_the_end_of_time_leads_to_nothing(year: int) -> None:
    """One strange event of a customer must not stop all his results."""
    strange = Opportunity(
        opportunity_id=7,
        customer_id=1,
        scene_version=5,
        trigger_id=6,
        acted_on=True,
        occurred_time=datetime(year, 12, 31, tzinfo=UTC),
    )
    cause = attribute(History(opportunities=[strange]), datetime(2026, 1, 1, tzinfo=UTC))
    assert not cause.opportunity_id
