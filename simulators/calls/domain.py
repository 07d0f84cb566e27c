"""Calls and how customers answer them. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from simulators import reach
from simulators.reports import Report

NO_ANSWER: Final = "NO_ANSWER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that was dialled."""

    contact_id: int
    customer_id: int
    staff_id: int
    dial_time: datetime

    @property
    def call_id(self) -> str:
        """Its id at the platform."""
        return f"call-{self.contact_id}"

    def is_same(self, other: Call) -> bool:
        """Whether the other one is this call, dialled again."""
        ours = (self.contact_id, self.customer_id, self.staff_id)
        return ours == (other.contact_id, other.customer_id, other.staff_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a customer answers, and how long he talks."""

    customer_id: int
    answered: bool
    talk_time: timedelta


def reports(call: Call, plan: Plan | None) -> Sequence[Report]:
    """What the platform will tell of the call; without a plan nobody answers.

    The talk takes no time here: its length is told at once.
    """
    if plan is None or not plan.answered:
        return (reach.failed(call.contact_id, NO_ANSWER),)
    return (reach.delivered(call.contact_id, plan.talk_time),)
