"""Where a version of a scene stands. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from engine.action.v1 import action_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A version of a scene: where it stands, and what its last simulation said.

    `launch_no` counts the launches of the scene, from 1; 0: it was never launched.
    `edits` counts how often the draft was replaced. `turn_time` is when it was
    last launched, paused, resumed or ended; None: never.
    """

    scene_id: int
    scene_version: int
    version: int
    status: action_pb2.SceneStatus.ValueType = action_pb2.SCENE_STATUS_DRAFT
    launch_no: int = 0
    edits: int = 0
    simulation: action_pb2.Simulation | None = None
    turn_time: datetime | None = None

    def moved(self, status: action_pb2.SceneStatus.ValueType) -> Run:
        """The version at another status."""
        return replace(self, status=status)

    def edited(self) -> Run:
        """The draft with another content, of which no simulation has said anything."""
        draft = action_pb2.SCENE_STATUS_DRAFT
        return replace(self, status=draft, edits=self.edits + 1, simulation=None)
