"""Message tasks as WeCom keeps them, and its limits. Pure rules."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final

LIMIT_REACHED: Final = "LIMIT_REACHED"

REMINDER_WINDOW: Final = timedelta(hours=24)


class TaskState(Enum):
    """Where a message task stands at WeCom."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTask:
    """A message that a member must confirm; of its text the hash alone is kept."""

    contact_id: int
    external_userid: str
    userid: str
    text_sha256: str
    state: TaskState = TaskState.PENDING

    @property
    def msgid(self) -> str:
        """Its id at WeCom."""
        return f"msg-{self.contact_id:x}"

    def is_same(self, other: MessageTask) -> bool:
        """Whether the other one is this task, added again, wherever it stands now."""
        return replace(self, state=other.state) == other


def days_in_month(day: date) -> int:
    """The messages that a customer may get in the month of this day: one for each of its days."""
    return monthrange(day.year, day.month)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What WeCom allows.

    Args:
        a_month: messages to one external contact in the calendar month of a day.
        reminders: of one task within 24 hours.
        rates: calls of one method by the corporation, as (seconds, calls).
    """

    a_month: Callable[[date], int] = days_in_month
    reminders: int = 3
    rates: tuple[tuple[float, int], ...] = ((60.0, 10_000), (3_600.0, 150_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What became of a task when its member confirmed it; no code: it arrived."""

    task: MessageTask
    result_code: str = ""


def sendings(
    tasks: Sequence[MessageTask], plans: Mapping[str, str], sent: Mapping[str, int], a_month: int
) -> Sequence[Sending]:
    """What becomes of tasks that are confirmed together, in their order.

    Args:
        tasks: those confirmed.
        plans: codes of the external contacts whom messages do not reach.
        sent: messages to external contacts in this month so far.
        a_month: how many of them one may get.
    """
    counts = dict(sent)
    found = []
    for task in tasks:
        code = plans.get(task.external_userid, "")
        count = counts.get(task.external_userid, 0)
        if not code and count >= a_month:
            code = LIMIT_REACHED
        if not code:
            counts[task.external_userid] = count + 1
        found.append(Sending(task=task, result_code=code))
    return found


def next_reminder(reminders: Sequence[datetime], now: datetime, allowed: int) -> datetime | None:
    """When the member may be reminded again; None when at once. `reminders` are in their order."""
    recent = [time for time in reminders if time > now - REMINDER_WINDOW]
    return None if len(recent) < allowed else recent[-allowed] + REMINDER_WINDOW
