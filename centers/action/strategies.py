"""Published versions of scenes as strategies."""

from __future__ import annotations

from centers.action.domain import Task
from centers.action.strategy import Strategy
from engine.action.v1 import action_pb2
from mesh.definitions import Definitions


class Strategies:
    """Finds what a version says. Published ones are read once and then remembered."""

    def __init__(self, scenes: Definitions[action_pb2.Scene]) -> None:
        self._scenes = scenes

    async def of(self, scene_version: int) -> Strategy:
        """What the version of this id says.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        version = await self._scenes.by_version_id(scene_version)
        return Strategy(
            scene_id=version.definition_id, scene_version=scene_version, scene=version.body
        )

    async def behind(self, task: Task) -> Strategy:
        """What the version says that the task was made by, whatever runs now."""
        return await self.of(task.scene_version)
