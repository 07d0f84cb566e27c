"""What became of the triggers of a scene, for who watches it."""

from __future__ import annotations

from centers.action.domain import Opportunity, OpportunityState
from centers.action.opportunity_rows import OpportunityRows
from centers.action.run_rows import RunRows
from centers.action.scenes import Scenes
from mesh.paging import Page, PageRequest


class OpportunityLists:
    """Lists the opportunities of versions of scenes."""

    def __init__(self, scenes: Scenes, runs: RunRows, opportunities: OpportunityRows) -> None:
        self._scenes = scenes
        self._runs = runs
        self._opportunities = opportunities

    async def page(
        self, request: PageRequest, scene_id: int, version: int, state: OpportunityState
    ) -> Page[Opportunity]:
        """A page of them, newest first; version 0 asks for the one that was launched last.

        Raises:
            MeshError: DEFINITION_NOT_FOUND or PAGE_TOKEN_INVALID.
        """
        if version:
            scene_version = (await self._scenes.get(scene_id, version)).run.scene_version
        else:
            launched = await self._runs.launched(scene_id)
            if launched is None:
                await self._scenes.get(scene_id, version)
                return Page((), "")
            scene_version = launched.scene_version
        return await self._opportunities.page(request, scene_version, state)
