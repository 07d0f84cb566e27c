"""Use cases of the review centre: look at the log, check it, measure a scene."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from centers.review.behaviors import Entry, Filter, follows
from centers.review.effect import Effect, Plan, measure
from centers.review.errors import ReviewReason
from centers.review.funnel import Funnel, funnel
from centers.review.statistics import Arm
from centers.review.tally_rows import Tally
from engine.action.v1 import action_pb2
from mesh import seal
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest

NOBODY = Arm(customers=0, converted=0)


class Log(Protocol):
    """Where behaviours are kept."""

    async def newest(self, wanted: Filter, *, before: int | None, limit: int) -> Sequence[Entry]:
        """Entries, newest first, from before a position on."""

    def entries(self) -> AsyncIterator[Sequence[Entry]]:
        """The whole log in blocks, oldest first."""


class Counts(Protocol):
    """Where the facts of scenes are counted."""

    async def plan(self, scene_version: int) -> Plan | None:
        """What a version set out to do; None when it is not known."""

    async def tally(self, scene_version: int) -> Tally:
        """All facts of a version that is known."""

    async def arms(self, scene_version: int) -> Mapping[int, Arm]:
        """Its customers, and those who converted, by arm."""


class Behaviors:
    """The behaviour log as people look at it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def page(self, request: PageRequest, wanted: Filter | None) -> Page[Entry]:
        """A page of what is wanted, newest first; nothing when that is None.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        cursor = request.after_numbers(1)
        if wanted is None:
            return Page((), "")
        before = cursor[0] if cursor else None
        rows = await self._log.newest(wanted, before=before, limit=request.limit)
        return request.page(rows, lambda entry: (entry.position,))

    async def check(self) -> seal.LogCheck:
        """Follow the log from its start to the first break."""
        return await seal.check(self._log.entries(), follows)


class Review:
    """The measures of scenes."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    async def funnel(self, scene_version: int) -> tuple[Funnel, Tally]:
        """How far the customers of a version came, and the facts that say so.

        Raises:
            MeshError: SCENE_VERSION_UNKNOWN.
        """
        await self._known(scene_version)
        tally = await self._counts.tally(scene_version)
        return funnel(tally.groups), tally

    async def effect(self, scene_version: int) -> Effect:
        """What a version did.

        Raises:
            MeshError: SCENE_VERSION_UNKNOWN.
        """
        plan = await self._known(scene_version)
        arms = await self._counts.arms(scene_version)
        return measure(
            plan,
            treated=arms.get(action_pb2.ARM_TREATED, NOBODY),
            holdout=arms.get(action_pb2.ARM_HOLDOUT, NOBODY),
        )

    async def _known(self, scene_version: int) -> Plan:
        plan = await self._counts.plan(scene_version)
        if plan is None:
            known = {"scene_version": str(scene_version)}
            raise MeshError(ReviewReason.SCENE_VERSION_UNKNOWN, metadata=known)
        return plan
