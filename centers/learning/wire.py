"""Messages of the learning contract as domain objects, and back."""

from __future__ import annotations

from datetime import UTC, datetime

from centers.learning.domain import Grant, Qualification
from centers.learning.errors import LearningReason
from engine.learning.v1 import learning_pb2
from engine.mesh.v1.event_pb2 import Event
from mesh.errors import MeshError, Violation
from mesh.events import event


def grant(request: learning_pb2.IssueQualificationRequest, issuer: str) -> Grant:
    """What is to be issued; TIME_INVALID when its end does not exist."""
    try:
        expire_time = request.expire_time.ToDatetime(tzinfo=UTC)
    except (OverflowError, ValueError):
        violation = Violation("expire_time", "must lie between the years 1 and 9999")
        raise MeshError(LearningReason.TIME_INVALID, violations=[violation]) from None
    return Grant(
        staff_id=request.staff_id,
        code=request.code,
        expire_time=expire_time,
        source=request.source,
        issuer=issuer,
    )


def qualification(found: Qualification, now: datetime) -> learning_pb2.Qualification:
    """A qualification as the contract shows it at a moment."""
    message = learning_pb2.Qualification(
        qualification_id=found.qualification_id,
        staff_id=found.staff_id,
        code=found.code,
        state=found.state(now),
        issuer=found.issuer,
        source=found.source,
    )
    message.issue_time.FromDatetime(found.issue_time)
    message.expire_time.FromDatetime(found.expire_time)
    if found.revoke_time is not None:
        message.revoke_time.FromDatetime(found.revoke_time)
    return message


def changed(found: Qualification, now: datetime) -> Event:
    """The event that tells where a qualification stands now."""
    payload = learning_pb2.QualificationChanged(qualification=qualification(found, now))
    return event(payload, key=found.staff_id, time=now)
