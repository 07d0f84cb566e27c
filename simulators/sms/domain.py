"""Text messages and what becomes of them. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from simulators import reach
from simulators.reports import Report

UNDELIVERED: Final = "UNDELIVERED"
"""Code of a message that does not arrive, when its plan names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that the carrier accepted; of its text the hash alone is kept."""

    contact_id: int
    customer_id: int
    text_sha256: str
    accept_time: datetime

    @property
    def message_id(self) -> str:
        """Its id at the carrier."""
        return f"sms-{self.contact_id}"

    def is_same(self, other: Message) -> bool:
        """Whether the other one is this message, handed over again."""
        ours = (self.contact_id, self.customer_id, self.text_sha256)
        return ours == (other.contact_id, other.customer_id, other.text_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of messages to a customer."""

    customer_id: int
    delivered: bool
    result_code: str


def reports(message: Message, plan: Plan | None) -> Sequence[Report]:
    """What the carrier will tell of the message; without a plan it arrives."""
    accepted = reach.sent(message.contact_id)
    if plan is None or plan.delivered:
        return accepted, reach.delivered(message.contact_id)
    return accepted, reach.failed(message.contact_id, plan.result_code or UNDELIVERED)
