"""Use cases of scenes up to their approval: draft, change, submit, approve, read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from centers.action.errors import ActionReason
from centers.action.events import scene_changed
from centers.action.materialization import Ids
from centers.action.run import Run
from centers.action.run_rows import RunRows
from centers.action.turn import Turn
from engine.action.v1 import action_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.audit import note
from mesh.definitions import DefinitionReason, Definitions, Version
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True)
class SceneVersion:
    """A version of a scene: what it says and where it stands."""

    said: Version[action_pb2.Scene]
    run: Run


Respond = Callable[[SceneVersion], Answer]


class SceneBook:
    """Versions of scenes and where they stand, changed together with the event that tells it."""

    def __init__(self, scenes: Definitions[action_pb2.Scene], runs: RunRows) -> None:
        self.scenes = scenes
        self.runs = runs

    async def versions(self, tx: Transaction, scene_id: int) -> Sequence[Run]:
        """Where all versions of a scene stand, oldest first.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, or SCENE_ENDED.
        """
        runs = await self.runs.of_scene(tx, scene_id)
        if not runs:
            raise MeshError(DefinitionReason.DEFINITION_NOT_FOUND)
        if any(run.status == action_pb2.SCENE_STATUS_ENDED for run in runs):
            raise MeshError(ActionReason.SCENE_ENDED)
        return runs

    async def move(
        self, tx: Transaction, changed: Run, said: action_pb2.Scene, turn: Turn | None = None
    ) -> None:
        """Store where a version stands now, and tell it; with what it means for contacts."""
        note(chain=ChainIds(scene_version=changed.scene_version))
        await self.runs.replace(tx, changed)
        tx.publish(scene_changed(changed, said, turn))


class Scenes:
    """Writes scenes. `respond` makes the call's answer, kept in the same transaction."""

    def __init__(self, store: Store, book: SceneBook, *, scene_ids: Ids, version_ids: Ids) -> None:
        self._store = store
        self._book = book
        self._scene_ids = scene_ids
        self._version_ids = version_ids

    async def draft(
        self, scene_id: int, content: action_pb2.Scene, actor: str, respond: Respond[Answer]
    ) -> Answer:
        """Draft the first version of a new scene, or the next of one whose id is given.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, OPEN_VERSION_EXISTS or SCENE_ENDED.
        """
        version_id = await self._version_ids.next()
        made_id = scene_id or await self._scene_ids.next()
        note(
            object=f"scene.definition.definition_id={made_id}",
            chain=ChainIds(scene_version=version_id),
        )
        async with self._store.transaction() as tx:
            if scene_id:
                said = await self._next(tx, scene_id, version_id, content, actor)
            else:
                said = await self._book.scenes.create(
                    tx, definition_id=made_id, version_id=version_id, body=content, author=actor
                )
            run = Run(scene_id=made_id, scene_version=version_id, version=said.version)
            await self._book.runs.add(tx, run)
            answer = respond(SceneVersion(said, run))
            tx.answer(answer)
        return answer

    async def update(
        self,
        scene_id: int,
        content: action_pb2.Scene,
        *,
        actor: str,
        etag: str,
        respond: Respond[Answer],
    ) -> Answer:
        """Replace the draft; what a simulation said of it holds no longer.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_A_DRAFT, NOT_THE_AUTHOR,
                DEFINITION_ETAG_MISMATCH or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            *_, newest = await self._book.versions(tx, scene_id)
            said = await self._book.scenes.edit(
                tx, scene_id, lambda _: content, actor=actor, etag=etag
            )
            run = newest.edited()
            await self._book.move(tx, run, content)
            answer = respond(SceneVersion(said, run))
            tx.answer(answer)
        return answer

    async def submit(self, scene_id: int, actor: str, respond: Respond[Answer]) -> Answer:
        """Put the simulated draft forward.

        Raises:
            MeshError: SCENE_NOT_SIMULATED, DEFINITION_NOT_FOUND, NOT_A_DRAFT,
                NOT_THE_AUTHOR or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            *_, newest = await self._book.versions(tx, scene_id)
            if newest.status == action_pb2.SCENE_STATUS_DRAFT:
                raise MeshError(ActionReason.SCENE_NOT_SIMULATED)
            said = await self._book.scenes.submit(tx, scene_id, actor=actor)
            run = newest.moved(action_pb2.SCENE_STATUS_REVIEW)
            await self._book.move(tx, run, said.body)
            answer = respond(SceneVersion(said, run))
            tx.answer(answer)
        return answer

    async def approve(self, scene_id: int, checker: str, respond: Respond[Answer]) -> Answer:
        """Approve the submitted version, which from now on never changes.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_IN_REVIEW, CHECKER_IS_MAKER or SCENE_ENDED.
        """
        async with self._store.transaction() as tx:
            *_, newest = await self._book.versions(tx, scene_id)
            said = await self._book.scenes.publish(tx, scene_id, checker=checker)
            run = newest.moved(action_pb2.SCENE_STATUS_APPROVED)
            await self._book.move(tx, run, said.body)
            answer = respond(SceneVersion(said, run))
            tx.answer(answer)
        return answer

    async def get(self, scene_id: int, version: int) -> SceneVersion:
        """A version of a scene; 0 asks for the newest.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        said = await self._book.scenes.get(scene_id, version)
        run = await self._book.runs.get(said.version_id)
        assert run is not None, "every version stands somewhere"
        return SceneVersion(said, run)

    async def page(self, request: PageRequest) -> Page[SceneVersion]:
        """A page of the scenes, newest first, each in its newest version.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        page = await self._book.scenes.page(request)
        runs = await self._book.runs.among([said.version_id for said in page.entries])
        entries = [SceneVersion(said, runs[said.version_id]) for said in page.entries]
        return Page(entries, page.next_token)

    async def _next(
        self,
        tx: Transaction,
        scene_id: int,
        version_id: int,
        content: action_pb2.Scene,
        actor: str,
    ) -> Version[action_pb2.Scene]:
        await self._book.versions(tx, scene_id)
        await self._book.scenes.draft(tx, scene_id, version_id=version_id, author=actor)
        return await self._book.scenes.edit(tx, scene_id, lambda _: content, actor=actor)
