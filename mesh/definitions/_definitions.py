"""Definitions of one kind in a service's store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message

from mesh.clock import Clock
from mesh.definitions import _cycle as cycle
from mesh.definitions import _rows as rows
from mesh.definitions._cycle import State, Version
from mesh.definitions._reason import DefinitionReason
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.storage import Row, Statement, Store, Transaction

MAX_NAME: Final = 200
MAX_REMEMBERED: Final = 256
"""Published versions that are kept decoded."""

M = TypeVar("M", bound=Message)


class Definitions(Generic[M]):
    """Definitions of one kind, each with a body of one message type.

    What writes takes the transaction of its call, and acts on the newest version;
    what reads sees committed versions alone. The centre's revision makes the table
    by `mesh.definitions.create_table(op)`. Steps that the life cycle forbids raise a
    `MeshError`: a `DefinitionReason`, or CHECKER_IS_MAKER.

    Args:
        store: the service's database.
        kind: names the kind among those of the service: "scene".
        message_type: the type of the bodies.
        clock: dates versions.
        name_of: what a body is called in lists; 200 characters are kept.
    """

    def __init__(
        self,
        store: Store,
        kind: str,
        message_type: type[M],
        clock: Clock,
        *,
        name_of: Callable[[M], str],
    ) -> None:
        self._store = store
        self._kind = kind
        self._message_type = message_type
        self._clock = clock
        self._name_of = name_of
        self._remembered: OrderedDict[int, Version[M]] = OrderedDict()

    async def create(
        self, tx: Transaction, *, definition_id: int, version_id: int, body: M, author: str
    ) -> Version[M]:
        """A new definition with version 1 in draft. Both ids are fresh ones of the sequencer."""
        made = cycle.created(
            definition_id=definition_id,
            version_id=version_id,
            body=body,
            author=author,
            now=self._clock.now(),
        )
        return await self._add(tx, made)

    async def draft(
        self, tx: Transaction, definition_id: int, *, version_id: int, author: str
    ) -> Version[M]:
        """A draft of the next version, with the body of the newest one; then `edit` it.

        Raises:
            MeshError: DEFINITION_NOT_FOUND or OPEN_VERSION_EXISTS.
        """
        newest = await self._newest(tx, definition_id)
        made = cycle.next_version(
            newest, version_id=version_id, author=author, now=self._clock.now()
        )
        return await self._add(tx, made)

    async def edit(
        self,
        tx: Transaction,
        definition_id: int,
        change: Callable[[M], M],
        *,
        actor: str,
        etag: str = "",
    ) -> Version[M]:
        """Replace the draft's body by what `change` makes of it; with an etag only while it holds.

        Args:
            tx: the call's transaction.
            definition_id: the definition.
            change: gets a body of its own, which it may alter and answer.
            actor: who edits: the author alone may.
            etag: of the draft as the caller knows it.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_A_DRAFT, NOT_THE_AUTHOR or
                DEFINITION_ETAG_MISMATCH.
        """
        return await self._step(
            tx, definition_id, lambda newest: cycle.edited(newest, change, actor=actor, etag=etag)
        )

    async def submit(
        self, tx: Transaction, definition_id: int, *, actor: str, etag: str = ""
    ) -> Version[M]:
        """Put the draft in review.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_A_DRAFT, NOT_THE_AUTHOR or
                DEFINITION_ETAG_MISMATCH.
        """
        return await self._step(
            tx, definition_id, lambda newest: cycle.submitted(newest, actor=actor, etag=etag)
        )

    async def withdraw(
        self, tx: Transaction, definition_id: int, *, actor: str, etag: str = ""
    ) -> Version[M]:
        """Make the version in review a draft again.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_IN_REVIEW, NOT_THE_AUTHOR or
                DEFINITION_ETAG_MISMATCH.
        """
        return await self._step(
            tx, definition_id, lambda newest: cycle.withdrawn(newest, actor=actor, etag=etag)
        )

    async def publish(
        self, tx: Transaction, definition_id: int, *, checker: str, etag: str = ""
    ) -> Version[M]:
        """Put the version in review in force, for ever as it is.

        With an etag only what the checker has seen is published.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_IN_REVIEW, CHECKER_IS_MAKER or
                DEFINITION_ETAG_MISMATCH.
        """
        now = self._clock.now()
        return await self._step(
            tx,
            definition_id,
            lambda newest: cycle.published(newest, checker=checker, now=now, etag=etag),
        )

    async def get(self, definition_id: int, version: int = 0) -> Version[M]:
        """One version; 0 asks for the newest, whatever its state.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        place = self._place(definition_id)
        if not version:
            return _found(await self._read(rows.NEWEST, place))
        return _found(await self._read(rows.ONE, place | {"of_version": version}))

    async def published(self, definition_id: int) -> Version[M]:
        """The newest published version.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, or NOT_PUBLISHED when none is.
        """
        found = await self.in_force(definition_id)
        if found is None:
            await self.get(definition_id)
            raise MeshError(DefinitionReason.NOT_PUBLISHED)
        return found

    async def in_force(self, definition_id: int) -> Version[M] | None:
        """The newest published version; None when there is none, or no such definition."""
        found = await self._read(rows.NEWEST_PUBLISHED, self._place(definition_id))
        return found[0] if found else None

    async def by_version_id(self, version_id: int) -> Version[M]:
        """The version of that id. A published one is read once and then remembered.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        known = self._remembered.get(version_id)
        if known is not None:
            return known
        place = {"of_kind": self._kind, "of_version_id": version_id}
        return _found(await self._read(rows.BY_VERSION_ID, place))

    async def author(self, definition_id: int) -> str | None:
        """Who wrote the newest version; None when there is no such definition.

        For the `AuthorResolver` of a service.
        """
        found = await self._read(rows.NEWEST, self._place(definition_id))
        return found[0].author if found else None

    async def page(self, request: PageRequest, *, state: State | None = None) -> Page[Version[M]]:
        """A page of the definitions, newest definition first.

        Each is shown by its newest version; with `state`, by its newest version in
        that state, and left out without one. `request.listing` must tell states apart.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        after = request.after_numbers(1)
        statement = rows.listing(state, after[0] if after else None, request.limit)
        found = await self._read(statement, {"of_kind": self._kind})
        return request.page(found, lambda version: (version.definition_id,))

    async def _step(
        self,
        tx: Transaction,
        definition_id: int,
        decide: Callable[[Version[M]], Version[M]],
    ) -> Version[M]:
        newest = await self._newest(tx, definition_id)
        changed = decide(newest)
        place = self._place(definition_id)
        guard = place | {"of_version": newest.version, "before": newest.revision}
        if not await tx.execute(rows.CHANGE, self._values(changed) | guard):
            raise MeshError(DefinitionReason.DEFINITION_ETAG_MISMATCH)
        return changed

    async def _add(self, tx: Transaction, made: Version[M]) -> Version[M]:
        await tx.execute(rows.ADD, self._values(made))
        return made

    async def _newest(self, tx: Transaction, definition_id: int) -> Version[M]:
        """Not from memory, nor remembered: the transaction may still be undone."""
        found = await tx.fetch_all(rows.NEWEST, self._place(definition_id))
        return _found([self._decoded(row) for row in found])

    async def _read(self, statement: Statement, parameters: dict[str, Any]) -> Sequence[Version[M]]:
        return [self._version(row) for row in await self._store.fetch_all(statement, parameters)]

    def _version(self, row: Row) -> Version[M]:
        known = self._remembered.get(row.version_id)
        if known is not None:
            return known
        version = self._decoded(row)
        if version.is_published:
            self._remembered[row.version_id] = version
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return version

    def _decoded(self, row: Row) -> Version[M]:
        return rows.version_of(row, self._message_type.FromString(row.body))

    def _place(self, definition_id: int) -> dict[str, Any]:
        return {"of_kind": self._kind, "of_definition": definition_id}

    def _values(self, version: Version[M]) -> dict[str, Any]:
        name = self._name_of(version.body)[:MAX_NAME]
        body = version.body.SerializeToString(deterministic=True)
        return rows.values(version, body, kind=self._kind, name=name)


def _found(versions: Sequence[Version[M]]) -> Version[M]:
    if not versions:
        raise MeshError(DefinitionReason.DEFINITION_NOT_FOUND)
    return versions[0]
