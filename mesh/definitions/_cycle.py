"""The rules of the life cycle, without any I/O.

    created, next_version → DRAFT → submitted → REVIEW → published → PUBLISHED
                              ↑      withdrawn ←┘

Each function takes the newest version of a definition and answers what it
becomes, or raises a `MeshError`. Only the author touches his version before it
is published, and he never publishes it: so the checker has written none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, Generic, TypeVar

from engine.mesh.v1 import definition_pb2
from mesh.definitions._reason import DefinitionReason
from mesh.errors import MeshError, MeshReason

FIRST: Final = 1

Body = TypeVar("Body")


class State(IntEnum):
    """Where a version stands; the numbers are the contract's and the database's."""

    DRAFT = definition_pb2.DEFINITION_STATE_DRAFT
    REVIEW = definition_pb2.DEFINITION_STATE_REVIEW
    PUBLISHED = definition_pb2.DEFINITION_STATE_PUBLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Generic[Body]):
    """One version of a definition.

    `version_id` names it among all versions of all definitions: instances keep it,
    and it travels as a chain id. `body` is shared with other readers: copy it
    before you change it. `revision` counts the changes of this version.
    """

    definition_id: int
    version: int
    version_id: int
    body: Body
    state: State
    author: str
    checker: str = ""
    create_time: datetime
    publish_time: datetime | None = None
    revision: int = 1

    @property
    def etag(self) -> str:
        """Names this state of this version; another one has another etag."""
        return f"{self.version_id:x}-{self.revision:x}"

    @property
    def is_published(self) -> bool:
        """Whether it is in force, and so never changes."""
        return self.state is State.PUBLISHED


def created(
    *, definition_id: int, version_id: int, body: Body, author: str, now: datetime
) -> Version[Body]:
    """The first version of a new definition."""
    return Version(
        definition_id=definition_id,
        version=FIRST,
        version_id=version_id,
        body=body,
        state=State.DRAFT,
        author=author,
        create_time=now,
    )


def next_version(
    newest: Version[Body], *, version_id: int, author: str, now: datetime
) -> Version[Body]:
    """A draft of the version after `newest`, with its body.

    Raises:
        MeshError: OPEN_VERSION_EXISTS.
    """
    if not newest.is_published:
        raise _refused(DefinitionReason.OPEN_VERSION_EXISTS, newest)
    return Version(
        definition_id=newest.definition_id,
        version=newest.version + 1,
        version_id=version_id,
        body=newest.body,
        state=State.DRAFT,
        author=author,
        create_time=now,
    )


def edited(
    newest: Version[Body], change: Callable[[Body], Body], *, actor: str, etag: str = ""
) -> Version[Body]:
    """The draft with the body that `change` makes of its present one.

    Raises:
        MeshError: NOT_A_DRAFT, NOT_THE_AUTHOR or DEFINITION_ETAG_MISMATCH.
    """
    _must_be_draft(newest, actor, etag)
    return _changed(newest, body=change(newest.body))


def submitted(newest: Version[Body], *, actor: str, etag: str = "") -> Version[Body]:
    """The draft, now waiting for a checker.

    Raises:
        MeshError: NOT_A_DRAFT, NOT_THE_AUTHOR or DEFINITION_ETAG_MISMATCH.
    """
    _must_be_draft(newest, actor, etag)
    return _changed(newest, state=State.REVIEW)


def withdrawn(newest: Version[Body], *, actor: str, etag: str = "") -> Version[Body]:
    """The version in review, again a draft.

    Raises:
        MeshError: NOT_IN_REVIEW, NOT_THE_AUTHOR or DEFINITION_ETAG_MISMATCH.
    """
    _must_be_in_review(newest, etag)
    _must_be_author(newest, actor)
    return _changed(newest, state=State.DRAFT)


def published(
    newest: Version[Body], *, checker: str, now: datetime, etag: str = ""
) -> Version[Body]:
    """The version in review, now in force for ever.

    Raises:
        MeshError: NOT_IN_REVIEW, CHECKER_IS_MAKER or DEFINITION_ETAG_MISMATCH.
    """
    _must_be_in_review(newest, etag)
    if not checker or checker == newest.author:
        raise MeshError(MeshReason.CHECKER_IS_MAKER)
    return _changed(newest, state=State.PUBLISHED, checker=checker, publish_time=now)


def _changed(version: Version[Body], **fields: Any) -> Version[Body]:
    return replace(version, **fields, revision=version.revision + 1)


def _must_be_draft(version: Version[Any], actor: str, etag: str) -> None:
    if version.state is not State.DRAFT:
        raise _refused(DefinitionReason.NOT_A_DRAFT, version)
    _must_be_author(version, actor)
    _must_match(version, etag)


def _must_be_in_review(version: Version[Any], etag: str) -> None:
    if version.state is not State.REVIEW:
        raise _refused(DefinitionReason.NOT_IN_REVIEW, version)
    _must_match(version, etag)


def _must_be_author(version: Version[Any], actor: str) -> None:
    if actor != version.author:
        raise _refused(DefinitionReason.NOT_THE_AUTHOR, version)


def _must_match(version: Version[Any], etag: str) -> None:
    if etag and etag != version.etag:
        raise _refused(DefinitionReason.DEFINITION_ETAG_MISMATCH, version)


def _refused(reason: DefinitionReason, version: Version[Any]) -> MeshError:
    facts = {
        "version": str(version.version),
        "state": version.state.name,
        "etag": version.etag,
    }
    return MeshError(reason, metadata=facts)
