"""Use cases of the contact policy: one definition, whose newest published version is in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.reach import policy_wire
from centers.reach.errors import ReachReason
from centers.reach.rules import Rules
from engine.reach.v1 import reach_pb2
from mesh import definitions
from mesh.clock import Clock
from mesh.contract import Method
from mesh.definitions import DefinitionReason, Definitions, Version
from mesh.errors import MeshError
from mesh.storage import Store, Transaction

POLICY_ID: Final = 1
"""There is one contact policy."""

Policy = reach_pb2.ContactPolicy
Answer = TypeVar("Answer", bound=Message)
Respond = Callable[[Policy], Answer]


class Ids(Protocol):
    """Where ids of versions come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Policies:
    """Versions of the contact policy.

    Args:
        store: the service's database.
        ids: names versions.
        clock: dates versions.
        built_in: holds until a version is published.
    """

    def __init__(self, store: Store, ids: Ids, clock: Clock, built_in: Rules) -> None:
        self._store = store
        self._ids = ids
        self._built_in = built_in
        self._definitions = Definitions(store, "policy", Policy, clock, name_of=_name)
        self._known = built_in

    async def in_force(self) -> Rules:
        """The rules that hold now, whichever process approved them: one point read."""
        published = await self._definitions.in_force(POLICY_ID)
        if published is None:
            return self._built_in
        if self._known.version != published.version:
            self._known = policy_wire.rules(published.body, published.version)
        return self._known

    async def get(self, version: int) -> Policy:
        """One version; 0 for the one in force.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        if version:
            return _shown(await self._definitions.get(POLICY_ID, version))
        published = await self._definitions.in_force(POLICY_ID)
        return policy_wire.policy(self._built_in) if published is None else _shown(published)

    async def draft(self, policy: Policy, actor: str, respond: Respond[Answer]) -> Answer:
        """Draft the next version, or change the draft that its author has open.

        Raises:
            MeshError: POLICY_INVALID, NOT_THE_AUTHOR, NOT_A_DRAFT or IDS_UNAVAILABLE.
        """
        policy_wire.check(policy)
        body = Policy()
        body.CopyFrom(policy)
        body.ClearField("definition")
        version_id = await self._ids.next()
        async with self._store.transaction() as tx:
            made = await self._drafted(tx, body, version_id, actor)
            answer = respond(_shown(made))
            tx.answer(answer)
        return answer

    async def submit(self, version: int, actor: str, respond: Respond[Answer]) -> Answer:
        """Put the draft forward.

        Raises:
            MeshError: POLICY_VERSION_MISMATCH, or what the life cycle says.
        """
        async with self._store.transaction() as tx:
            made = await self._definitions.submit(tx, POLICY_ID, actor=actor)
            answer = respond(_shown(_expected(made, version)))
            tx.answer(answer)
        return answer

    async def approve(self, version: int, checker: str, respond: Respond[Answer]) -> Answer:
        """Put the submitted version in force, from the next admission on.

        Raises:
            MeshError: POLICY_VERSION_MISMATCH, or what the life cycle says.
        """
        async with self._store.transaction() as tx:
            made = await self._definitions.publish(tx, POLICY_ID, checker=checker)
            answer = respond(_shown(_expected(made, version)))
            tx.answer(answer)
        return answer

    async def author(self, method: Method, row: Any) -> str | None:  # noqa: ARG002 - one kind
        """Who wrote a version of the policy (`mesh.service.AuthorResolver`)."""
        try:
            return (await self._definitions.get(POLICY_ID, row)).author
        except MeshError as error:
            if error.reason is not DefinitionReason.DEFINITION_NOT_FOUND:
                raise
            return None

    async def _drafted(
        self, tx: Transaction, body: Policy, version_id: int, actor: str
    ) -> Version[Policy]:
        try:
            await self._definitions.draft(tx, POLICY_ID, version_id=version_id, author=actor)
        except MeshError as error:
            if error.reason is DefinitionReason.DEFINITION_NOT_FOUND:
                return await self._definitions.create(
                    tx, definition_id=POLICY_ID, version_id=version_id, body=body, author=actor
                )
            if error.reason is not DefinitionReason.OPEN_VERSION_EXISTS:
                raise
        return await self._definitions.edit(tx, POLICY_ID, lambda _: body, actor=actor)


def _expected(made: Version[Policy], version: int) -> Version[Policy]:
    """The version, when it is the one that the caller meant; raised within the transaction."""
    if made.version != version:
        newest = {"newest": str(made.version)}
        raise MeshError(ReachReason.POLICY_VERSION_MISMATCH, metadata=newest)
    return made


def _shown(version: Version[Policy]) -> Policy:
    shown = Policy()
    shown.CopyFrom(version.body)
    shown.definition.CopyFrom(definitions.to_message(version))
    return shown


def _name(_: Policy) -> str:
    return "contact policy"
