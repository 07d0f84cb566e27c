"""Qualifications: terms that follow one another. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from engine.learning.v1 import learning_pb2

State: TypeAlias = learning_pb2.QualificationState.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What is to be issued, to whom, by whom."""

    staff_id: int
    code: str
    expire_time: datetime
    source: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualification:
    """One term: that a member of staff may do something from `issue_time` on.

    It ends at the earliest of `expire_time`, `revoke_time` and `renew_time`, exclusive.
    A term that was renewed or revoked is never changed again.
    """

    qualification_id: int
    staff_id: int
    code: str
    issue_time: datetime
    expire_time: datetime
    issuer: str
    source: str
    revoke_time: datetime | None = None
    revoke_reason: str = ""
    renew_time: datetime | None = None

    def state(self, now: datetime) -> State:
        """Where it stands at a moment."""
        if self.revoke_time is not None and self.revoke_time <= now:
            return learning_pb2.QUALIFICATION_STATE_REVOKED
        if self.renew_time is not None and self.renew_time <= now:
            return learning_pb2.QUALIFICATION_STATE_RENEWED
        if self.expire_time <= now:
            return learning_pb2.QUALIFICATION_STATE_EXPIRED
        return learning_pb2.QUALIFICATION_STATE_VALID

    def is_valid(self, now: datetime) -> bool:
        """Whether it is in force at a moment."""
        valid = learning_pb2.QUALIFICATION_STATE_VALID
        return self.issue_time <= now and self.state(now) == valid

    def revoked(self, now: datetime, reason: str) -> Qualification:
        """The term, taken away from this moment on."""
        return replace(self, revoke_time=now, revoke_reason=reason)

    def renewed(self, now: datetime) -> Qualification:
        """The term, with a newer one in its place from this moment on."""
        return replace(self, renew_time=now)


def begin(now: datetime, last_change: datetime | None) -> datetime:
    """When a new term begins: now, but never before what already happened.

    A clock that was set back does not reach into the history.
    """
    return now if last_change is None else max(now, last_change)


def issued(grant: Grant, qualification_id: int, issue_time: datetime) -> Qualification:
    """The term that begins then."""
    return Qualification(
        qualification_id=qualification_id,
        staff_id=grant.staff_id,
        code=grant.code,
        issue_time=issue_time,
        expire_time=grant.expire_time,
        issuer=grant.issuer,
        source=grant.source,
    )
