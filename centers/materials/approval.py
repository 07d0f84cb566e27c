"""Use cases of the way into use and out of it: submit, approve, recall."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from centers.materials import script, wire
from centers.materials.drafting import Answer, Respond
from centers.materials.errors import MaterialReason
from centers.materials.preparing import Preparing
from centers.materials.standing_rows import Standings
from centers.materials.sweeping import Sweeping
from centers.materials.wire import MaterialVersion
from engine.materials.v1 import materials_pb2
from mesh.clock import Clock
from mesh.definitions import Definitions, State
from mesh.errors import MeshError, Violation
from mesh.events import event
from mesh.storage import Store, Transaction


class Approval:
    """What makes a material usable, and what ends that."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions[materials_pb2.Material],
        standings: Standings,
        *,
        preparing: Preparing,
        sweeping: Sweeping,
        clock: Clock,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._standings = standings
        self._preparing = preparing
        self._sweeping = sweeping
        self._clock = clock

    async def submit(self, material_id: int, actor: str, respond: Respond[Answer]) -> Answer:
        """Check the draft and put it in review.

        Raises:
            MeshError: WORDING_REFUSED, MATERIAL_EXPIRED, NO_CONTENT, what is wrong with
                a document, MATERIAL_RECALLED, or a `DefinitionReason`.
        """
        draft = await self._definitions.get(material_id)
        own = draft.state is State.DRAFT and draft.author == actor  # else the life cycle refuses
        ready = await self._ready(draft) if own else None
        async with self._store.transaction() as tx:
            await self._standings.held(tx, material_id)
            if ready is not None:
                await self._definitions.edit(
                    tx, material_id, lambda _: ready, actor=actor, etag=draft.etag
                )
            version = await self._definitions.submit(tx, material_id, actor=actor)
            answer = respond(wire.material(version, recalled=False))
            tx.answer(answer)
        self._sweeping.wake()
        return answer

    async def approve(self, material_id: int, checker: str, respond: Respond[Answer]) -> Answer:
        """Put the version in review in use.

        Raises:
            MeshError: MATERIAL_RECALLED, or a `DefinitionReason`.
        """
        async with self._store.transaction() as tx:
            await self._standings.held(tx, material_id)
            version = await self._definitions.publish(tx, material_id, checker=checker)
            await self._standings.use(tx, material_id, version.version, version.version_id)
            return _told(tx, wire.material(version, recalled=False), respond)

    async def recall(self, material_id: int, reason: str, respond: Respond[Answer]) -> Answer:
        """Take the material out of use for ever, whatever its versions are; again changes nothing.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        newest = await self._definitions.get(material_id)
        shown = wire.material(newest, recalled=True)
        async with self._store.transaction() as tx:
            if await self._standings.recall(tx, material_id, reason):
                return _told(tx, shown, respond)
            answer = respond(shown)
            tx.answer(answer)
        return answer

    async def _ready(self, draft: MaterialVersion) -> materials_pb2.Material:
        """What the draft becomes when it is submitted: it names its bytes by their hash."""
        ready = materials_pb2.Material()
        ready.CopyFrom(draft.body)
        self._refuse_expired(ready)
        _refuse_wording(ready)
        if ready.material_type == wire.SCRIPT:
            ready.sha256 = hashlib.sha256(ready.text.encode()).hexdigest()
            return ready
        if not ready.size_bytes:
            raise MeshError(MaterialReason.NO_CONTENT)
        prepared = await self._preparing.prepare(draft.version_id)
        ready.sha256, ready.pages = prepared.sha256, prepared.pages
        ready.size_bytes = prepared.size_bytes
        return ready

    def _refuse_expired(self, material: materials_pb2.Material) -> None:
        if wire.is_expired(material, self._clock.now()):
            raise MeshError(MaterialReason.MATERIAL_EXPIRED)


def _refuse_wording(material: materials_pb2.Material) -> None:
    found = list(_unsayable(material))
    if found:
        raise MeshError(MaterialReason.WORDING_REFUSED, violations=found)


def _unsayable(material: materials_pb2.Material) -> Iterator[Violation]:
    yield from script.unsayable("material.title", material.title)
    yield from script.unsayable("material.text", material.text)


def _told(tx: Transaction, shown: materials_pb2.Material, respond: Respond[Answer]) -> Answer:
    tx.publish(event(wire.told(shown), key=shown.definition.definition_id))
    answer = respond(shown)
    tx.answer(answer)
    return answer
