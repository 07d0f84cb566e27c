"""What proves the outcome of a task. Pure rules."""

from __future__ import annotations

from typing import Final

from centers.action.domain import Task
from centers.action.errors import ActionReason
from engine.action.v1 import action_pb2
from engine.reach.v1 import reach_pb2
from mesh.errors import MeshError

TRIED: Final = frozenset(
    {
        reach_pb2.CONTACT_STATE_DENIED,
        reach_pb2.CONTACT_STATE_SENT,
        reach_pb2.CONTACT_STATE_DELIVERED,
        reach_pb2.CONTACT_STATE_FAILED,
        reach_pb2.CONTACT_STATE_EXPIRED,
    }
)
"""States of a contact that was tried. One that its maker took back was not."""


def must_name_contact(node: action_pb2.Node, contact_id: int) -> None:
    """Refuse an outcome without a contact, unless the node asks for nothing.

    Raises:
        MeshError: EVIDENCE_REQUIRED.
    """
    if not contact_id and node.evidence != action_pb2.EVIDENCE_NONE:
        raise MeshError(ActionReason.EVIDENCE_REQUIRED)


def must_prove(
    contact: reach_pb2.Contact | None, task: Task, outcome: action_pb2.Outcome.ValueType
) -> None:
    """Refuse a contact that does not prove the outcome of this very task.

    Who answered was reached; that nobody could be reached is shown by an attempt.

    Raises:
        MeshError: EVIDENCE_MISMATCH or EVIDENCE_INSUFFICIENT.
    """
    if contact is None or not _is_of(contact, task):
        raise MeshError(ActionReason.EVIDENCE_MISMATCH)
    tried = contact.reached or contact.state in TRIED
    if not (tried if outcome == action_pb2.OUTCOME_UNREACHABLE else contact.reached):
        state = reach_pb2.ContactState.Name(contact.state)
        raise MeshError(ActionReason.EVIDENCE_INSUFFICIENT, metadata={"contact_state": state})


def _is_of(contact: reach_pb2.Contact, task: Task) -> bool:
    return contact.chain.task_id == task.task_id and contact.customer_id == task.customer_id
