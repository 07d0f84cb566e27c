"""Use cases of authors: draft a material, upload its document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from centers.materials import script, wire
from centers.materials.errors import MaterialReason
from centers.materials.pdf.bounds import MAX_SOURCE_BYTES
from centers.materials.standing_rows import Standings
from centers.materials.upload_rows import Uploads
from centers.materials.wire import MaterialVersion
from engine.materials.v1 import materials_pb2
from mesh import audit
from mesh.definitions import Definitions, State
from mesh.errors import MeshError, Violation
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)
Respond = Callable[[materials_pb2.Material], Answer]


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Drafting:
    """What authors do. `respond` makes a call's answer, kept with its effect."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions[materials_pb2.Material],
        standings: Standings,
        uploads: Uploads,
        ids: Ids,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._standings = standings
        self._uploads = uploads
        self._ids = ids

    async def draft(
        self, material: materials_pb2.Material, actor: str, respond: Respond[Answer]
    ) -> Answer:
        """A new material, the next version of one, or the present draft written anew.

        A draft written anew loses what was uploaded.

        Raises:
            MeshError: SCRIPT_INVALID, TYPE_FIXED, MATERIAL_RECALLED, or a `DefinitionReason`.
        """
        _refuse_flaws(material)
        known, body = material.definition.definition_id, wire.body(material)
        rewritten = known and (await self._definitions.get(known)).state is State.DRAFT
        material_id, version_id = known or await self._ids.next(), await self._ids.next()
        async with self._store.transaction() as tx:
            if known:
                await self._refuse_another_type(tx, known, body)
            if rewritten:
                version = await self._rewrite(tx, known, body, actor)
            elif known:
                version = await self._next(tx, known, body, version_id=version_id, actor=actor)
            else:
                await self._standings.add(tx, material_id, body.material_type)
                version = await self._definitions.create(
                    tx, definition_id=material_id, version_id=version_id, body=body, author=actor
                )
            audit.note(object=f"material_id={material_id}")
            answer = respond(wire.material(version, recalled=False))
            tx.answer(answer)
        return answer

    async def upload(self, material_id: int, offset: int, chunk: bytes, actor: str) -> int:
        """Add bytes to the draft's document; how many there are then.

        Raises:
            MeshError: NOT_A_DOCUMENT, UPLOAD_TOO_LARGE, UPLOAD_OUT_OF_PLACE with
                `size_bytes`, MATERIAL_RECALLED, or a `DefinitionReason`.
        """
        draft = await self._definitions.get(material_id)
        if draft.body.material_type != wire.PDF:
            raise MeshError(MaterialReason.NOT_A_DOCUMENT)
        if draft.state is State.DRAFT and offset < draft.body.size_bytes:
            return await self._known(draft, offset, chunk)
        if offset + len(chunk) > MAX_SOURCE_BYTES:
            raise MeshError(MaterialReason.UPLOAD_TOO_LARGE)
        async with self._store.transaction() as tx:
            await self._standings.held(tx, material_id)
            grown = await self._definitions.edit(
                tx, material_id, lambda body: _grown(body, offset, chunk), actor=actor
            )
            await self._uploads.add(tx, grown.version_id, offset, chunk)
        return grown.body.size_bytes

    async def _known(self, draft: MaterialVersion, offset: int, chunk: bytes) -> int:
        if not await self._uploads.holds(draft.version_id, offset, chunk):
            raise _out_of_place(draft.body)
        return draft.body.size_bytes

    async def _refuse_another_type(
        self, tx: Transaction, material_id: int, body: materials_pb2.Material
    ) -> None:
        row = await self._standings.held(tx, material_id)
        if row is not None and row.material_type != body.material_type:
            raise MeshError(MaterialReason.TYPE_FIXED)

    async def _rewrite(
        self, tx: Transaction, material_id: int, body: materials_pb2.Material, actor: str
    ) -> MaterialVersion:
        version = await self._definitions.edit(tx, material_id, lambda _: body, actor=actor)
        await self._uploads.drop(tx, version.version_id)
        return version

    async def _next(
        self,
        tx: Transaction,
        material_id: int,
        body: materials_pb2.Material,
        *,
        version_id: int,
        actor: str,
    ) -> MaterialVersion:
        await self._definitions.draft(tx, material_id, version_id=version_id, author=actor)
        return await self._definitions.edit(tx, material_id, lambda _: body, actor=actor)


def _grown(body: materials_pb2.Material, offset: int, chunk: bytes) -> materials_pb2.Material:
    """The draft with so many more bytes; edited, so that no submission overlooks them."""
    if offset != body.size_bytes:
        raise _out_of_place(body)
    body.size_bytes += len(chunk)
    return body


def _out_of_place(body: materials_pb2.Material) -> MeshError:
    facts = {"size_bytes": str(body.size_bytes)}
    return MeshError(MaterialReason.UPLOAD_OUT_OF_PLACE, metadata=facts)


def _refuse_flaws(material: materials_pb2.Material) -> None:
    if not wire.has_sound_end(material):
        flaws = [Violation("material.expire_time", "must lie between the years 1 and 9999")]
    elif material.material_type == wire.SCRIPT:
        flaws = list(script.flaws(material.text, material.slots))
    else:
        flaws = list(_words(material))
    if flaws:
        raise MeshError(MaterialReason.SCRIPT_INVALID, violations=flaws)


def _words(material: materials_pb2.Material) -> Iterator[Violation]:
    for field in ("text", "slots"):
        if getattr(material, field):
            yield Violation(f"material.{field}", "must be empty: a document has its own words")
