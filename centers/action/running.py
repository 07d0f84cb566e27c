"""Use cases of scenes that run: launch, pause, resume, end, roll back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.action.desk import Desk
from centers.action.errors import ActionReason
from centers.action.run_rows import Run
from centers.action.scenes import SceneBook, SceneVersion
from engine.action.v1 import action_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.audit import note
from mesh.errors import MeshError
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)

Respond = Callable[[SceneVersion], Answer]

_RUNNING: Final = action_pb2.SCENE_STATUS_RUNNING
_PAUSED: Final = action_pb2.SCENE_STATUS_PAUSED
_SUPERSEDED: Final = action_pb2.SCENE_STATUS_SUPERSEDED
_LIVE: Final = frozenset({_RUNNING, _PAUSED})


class Hold(Protocol):
    """Where the dispatch of contacts is stopped."""

    async def hold(self, scene_version: int, *, held: bool) -> None:
        """Stop or resume the contacts of a version; does not fail when that must wait."""


class RunningScenes:
    """Lets scenes run and stops them: one transaction each, however many tasks that touches.

    `respond` makes the call's answer, kept in the same transaction. What stops or
    resumes also tells the reach centre before it returns. When that cannot be
    reached the step stands nevertheless: no task is made any more, and the event
    `SceneChanged` stops the contacts as soon as the reach centre is back.
    """

    def __init__(self, store: Store, book: SceneBook, desk: Desk, reach: Hold) -> None:
        self._store = store
        self._book = book
        self._desk = desk
        self._reach = reach

    async def launch(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """Let the approved version run. The one that ran takes no new customers.

        The contacts of one that was paused stay stopped: what was wrong with it is
        not mended by another version.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            present = _present(runs)
            answer = respond(await self._replace(tx, present, _approved(runs, present)))
            tx.answer(answer)
        return answer

    async def pause(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """Stop the running version; one that is paused is stopped once more.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        answer, scene_version = await self._turn(scene_id, _PAUSED, respond)
        await self._reach.hold(scene_version, held=True)
        return answer

    async def resume(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """Let the paused version run again.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        answer, scene_version = await self._turn(scene_id, _RUNNING, respond)
        await self._reach.hold(scene_version, held=False)
        return answer

    async def end(self, scene_id: int, respond: Respond[Answer]) -> Answer:
        """End the scene for good: open tasks of all its versions are recalled.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            present = _live(runs)
            ended = await self._move(tx, present.moved(action_pb2.SCENE_STATUS_ENDED))
            await self._desk.recall(tx, action_pb2.TASK_STATE_RECALLED, scene_id)
            answer = respond(ended)
            tx.answer(answer)
        await self._reach.hold(present.scene_version, held=True)
        return answer

    async def roll_back(
        self, scene_id: int, version: int, respond: Callable[[SceneVersion, int], Answer]
    ) -> Answer:
        """Let an earlier version run again, and recall the open tasks of the one that ran.

        Version 0 asks for the one that ran before. `respond` gets what runs now and
        how many tasks were recalled.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NO_EARLIER_VERSION, SCENE_STATUS_WRONG or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            runs = await self._book.versions(tx, scene_id)
            present = _live(runs)
            target = _earlier(runs, present, version)
            back = await self._replace(tx, present, target)
            recalled = await self._desk.recall(
                tx, action_pb2.TASK_STATE_RECALLED, scene_id, present.scene_version
            )
            answer = respond(back, recalled)
            tx.answer(answer)
        await self._reach.hold(target.scene_version, held=False)
        return answer

    async def _turn(
        self, scene_id: int, status: action_pb2.SceneStatus.ValueType, respond: Respond[Answer]
    ) -> tuple[Answer, int]:
        """Move the present version between running and paused; the answer and its id."""
        async with self._store.transaction() as tx:
            present = _live(await self._book.versions(tx, scene_id))
            turned = await self._move(tx, present.moved(status))
            answer = respond(turned)
            tx.answer(answer)
        return answer, present.scene_version

    async def _replace(self, tx: Transaction, present: Run | None, following: Run) -> SceneVersion:
        """Let a version run in place of the present one, which is superseded."""
        launches = 0
        if present is not None:
            launches = present.launch_no
            await self._move(tx, present.moved(_SUPERSEDED))
        return await self._move(tx, replace(following, status=_RUNNING, launch_no=launches + 1))

    async def _move(self, tx: Transaction, changed: Run) -> SceneVersion:
        said = await self._book.scenes.by_version_id(changed.scene_version)
        await self._book.move(tx, changed, said.body)
        if changed.status != _SUPERSEDED:
            note(chain=ChainIds(scene_version=changed.scene_version))
        return SceneVersion(said, changed)


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
