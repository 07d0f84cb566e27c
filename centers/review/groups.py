"""Facts of a version of a scene, in groups of those that are alike.

Enums are numbers of their contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.action.v1 import action_pb2
from engine.reach.v1 import reach_pb2

_CALLS: Final = frozenset({reach_pb2.CHANNEL_CALL, reach_pb2.CHANNEL_AI_CALL})


@dataclass(frozen=True, slots=True)
class Opportunities:
    """So many opportunities that are alike."""

    arm: int
    suppress_reason: int
    tasked: bool
    attempted: bool
    reached: bool
    interested: bool
    count: int

    @property
    def is_treated(self) -> bool:
        """Whether they were to be acted on."""
        return self.arm == action_pb2.ARM_TREATED


@dataclass(frozen=True, slots=True)
class Tasks:
    """So many tasks that are alike; `owner_kind` is that of their first owner."""

    owner_kind: int
    state: int
    count: int


@dataclass(frozen=True, slots=True)
class Contacts:
    """So many contacts that are alike; decision and reason are those of their admission."""

    channel: int
    decision: int
    reason: int
    sent: bool
    delivered: bool
    reached: bool
    count: int

    @property
    def is_admitted(self) -> bool:
        """Whether they were admitted at once."""
        return self.decision == reach_pb2.ADMISSION_DECISION_ADMITTED

    @property
    def is_wecom(self) -> bool:
        """Whether they are WeCom messages that were admitted at once."""
        return self.is_admitted and self.channel == reach_pb2.CHANNEL_WECOM

    @property
    def is_call(self) -> bool:
        """Whether they are calls that were admitted at once."""
        return self.is_admitted and self.channel in _CALLS


@dataclass(frozen=True, slots=True)
class Grants:
    """So many claimed benefits that are alike."""

    state: int
    granted: bool
    count: int


@dataclass(frozen=True, slots=True)
class Converted:
    """So many customers of an arm who converted."""

    arm: int
    count: int


Group: TypeAlias = Opportunities | Tasks | Contacts | Grants | Converted
