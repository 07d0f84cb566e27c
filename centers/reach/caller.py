"""What follows from who asks: a robot dials as a robot, few may pass the rules. Pure rules."""

from __future__ import annotations

from typing import Final

from centers.reach.domain import Channel, ContactClass
from centers.reach.errors import ReachReason
from mesh.context import Principal
from mesh.errors import MeshError

ROBOT: Final = "outreach-robot"
"""The role of programs that call; what they dial is a robot's call."""

REGULATORY: Final = "reach.regulatory"
"""The permission to contact customers past caps, quiet hours and refusals, as the law wants."""


def dialled_by(principal: Principal | None) -> Channel:
    """Whether a person calls, or a robot."""
    is_robot = principal is not None and ROBOT in principal.roles
    return Channel.AI_CALL if is_robot else Channel.CALL


def refuse_exemption(contact_class: ContactClass, principal: Principal | None) -> None:
    """Refuse a class that no cap and no refusal holds for, unless that was permitted.

    Raises:
        MeshError: REGULATORY_NOT_PERMITTED.
    """
    permitted = principal is not None and REGULATORY in principal.permissions
    if contact_class is ContactClass.REGULATORY and not permitted:
        raise MeshError(ReachReason.REGULATORY_NOT_PERMITTED)
