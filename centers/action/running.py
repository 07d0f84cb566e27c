"""Use cases of scenes that run: launch, pause, resume, end, roll back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.action.desk import Desk
from centers.action.errors import ActionReason
from centers.action.run import Run
from centers.action.scenes import SceneBook, SceneVersion
from centers.action.turn import Turn, next_time, turn_to
from engine.action.v1 import action_pb2
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.storage import Replayed, Store, Transaction

Answer = TypeVar("Answer", bound=Message)

Respond = Callable[[SceneVersion], Answer]

_RUNNING: Final = action_pb2.SCENE_STATUS_RUNNING
_PAUSED: Final = action_pb2.SCENE_STATUS_PAUSED
_SUPERSEDED: Final = action_pb2.SCENE_STATUS_SUPERSEDED
_ENDED: Final = action_pb2.SCENE_STATUS_ENDED
_LIVE: Final = frozenset({_RUNNING, _PAUSED})


class Hold(Protocol):
    """Where the dispatch of contacts is stopped."""

    async def hold(self, turn: Turn) -> None:
        """Stop or resume the contacts of a scene; does not fail when that must wait."""


class RunningScenes:
    """Lets scenes run and stops them: one transaction each, however many tasks that touches.

    A scene stops as a whole: of versions that were superseded tasks may be open, and
    contacts may wait. What stops or resumes also tells the reach centre before it
    returns. When that cannot be reached the step stands nevertheless: no task is made
    any more, and the event `SceneChanged` stops the contacts as soon as the reach
    centre is back. A call that is repeated because a crash came between the two steps
    stops them before it is answered.

    `respond` makes the call's answer, kept in the same transaction.
    """

    def __init__(
        self, store: Store, book: SceneBook, desk: Desk, reach: Hold, clock: Clock
    ) -> None:
        self._store = store
        self._book = book
        self._desk = desk
        self._reach = reach
        self._clock = clock

    async def launch(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """Let the approved version run. The one that ran takes no new customers.

        If that was paused its contacts go on: the scene runs.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            launched, turn = await self._replace(tx, runs, _approved(runs, _present(runs)))
            answer = respond(launched)
            tx.answer(answer)
        if turn.scene_versions:
            await self._reach.hold(turn)
        return answer

    async def pause(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """Stop the scene; one that is paused is stopped once more.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._stopping(scene_id):
            answer, turn = await self._turned(scene_id, _PAUSED, respond)
        await self._reach.hold(turn)
        return answer

    async def resume(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """Let the paused scene run again.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        answer, turn = await self._turned(scene_id, _RUNNING, respond)
        await self._reach.hold(turn)
        return answer

    async def end(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """End the scene for good: open tasks of all its versions are recalled.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._stopping(scene_id), self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            ended, turn = await self._turn(tx, runs, _live(runs).moved(_ENDED))
            await self._desk.recall(tx, action_pb2.TASK_STATE_RECALLED, scene_id)
            answer = respond(ended)
            tx.answer(answer)
        await self._reach.hold(turn)
        return answer

    async def roll_back(
        self, scene_id: int, version: int, respond: Callable[[SceneVersion, int], Answer]
    ) -> Answer:
        """Let an earlier version run again, and recall the open tasks of the one that ran.

        If that was paused its contacts stay stopped, until the end of their tasks takes
        them back. Version 0 asks for the one that ran before. `respond` gets what runs
        now and how many tasks were recalled.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NO_EARLIER_VERSION, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            present = _live(runs)
            target = _earlier(runs, present, version)
            back, turn = await self._replace(tx, runs, target, left=present.scene_version)
            recalled = await self._desk.recall(
                tx, action_pb2.TASK_STATE_RECALLED, scene_id, present.scene_version
            )
            answer = respond(back, recalled)
            tx.answer(answer)
        await self._reach.hold(turn)
        return answer

    @asynccontextmanager
    async def _stopping(self, scene_id: int) -> AsyncIterator[None]:
        """Stop contacts once more when the call was answered before, if its scene still stands."""
        try:
            yield
        except Replayed:
            runs = await self._book.runs.committed(scene_id)
            present = _present(runs)
            if present is not None and (turn := turn_to(present, runs)).held:
                await self._reach.hold(turn)
            raise

    async def _turned(
        self, scene_id: int, status: action_pb2.SceneStatus.ValueType, respond: Respond[Answer]
    ) -> tuple[Answer, Turn]:
        """Move the present version between running and paused."""
        async with self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            turned, turn = await self._turn(tx, runs, _live(runs).moved(status))
            answer = respond(turned)
            tx.answer(answer)
        return answer, turn

    async def _replace(
        self, tx: Transaction, runs: Sequence[Run], following: Run, left: int = 0
    ) -> tuple[SceneVersion, Turn]:
        """Let a version run in place of the present one, which is superseded."""
        launches, present = 0, _present(runs)
        if present is not None:
            launches = present.launch_no
            said = await self._book.scenes.by_version_id(present.scene_version)
            await self._book.move(tx, present.moved(_SUPERSEDED), said.body)
        running = replace(following, status=_RUNNING, launch_no=launches + 1)
        return await self._turn(tx, runs, running, left)

    async def _turn(
        self, tx: Transaction, runs: Sequence[Run], changed: Run, left: int = 0
    ) -> tuple[SceneVersion, Turn]:
        """Store where the present version stands from now on; what that means for contacts."""
        changed = replace(changed, turn_time=next_time(runs, self._clock.now()))
        turn = turn_to(changed, runs, left)
        said = await self._book.scenes.by_version_id(changed.scene_version)
        await self._book.move(tx, changed, said.body, turn)
        return SceneVersion(said, changed), turn


def _present(runs: Sequence[Run]) -> Run | None:
    """The version that was launched last."""
    newest = max(runs, key=lambda run: run.launch_no)
    return newest if newest.launch_no else None


def _approved(runs: Sequence[Run], present: Run | None) -> Run:
    """The newest version that is approved; one that newer ones overtook does not count."""
    overtaken = present.version if present else 0
    approved = [
        run
        for run in runs
        if run.status == action_pb2.SCENE_STATUS_APPROVED and run.version > overtaken
    ]
    if not approved:
        raise _wrong(runs)
    return approved[-1]


def _live(runs: Sequence[Run]) -> Run:
    present = _present(runs)
    if present is None or present.status not in _LIVE:
        raise _wrong(runs)
    return present


def _earlier(runs: Sequence[Run], present: Run, version: int) -> Run:
    """The version to go back to: the one named, or the one that ran last among the earlier."""
    ran = [r for r in runs if r.launch_no and r.version < present.version]
    wanted = [r for r in ran if version in (0, r.version)]
    if not wanted:
        raise MeshError(ActionReason.NO_EARLIER_VERSION)
    return max(wanted, key=lambda run: run.launch_no)


def _wrong(runs: Sequence[Run]) -> MeshError:
    status = action_pb2.SceneStatus.Name(runs[-1].status)
    return MeshError(ActionReason.SCENE_STATUS_WRONG, metadata={"newest": status})
