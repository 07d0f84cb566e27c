"""Statements over the table of definitions, and versions as rows."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.definitions._cycle import Body, State, Version
from mesh.definitions._table import definition
from mesh.storage import Row

_c: Final = definition.c
_of: Final = sa.bindparam
_KIND: Final = _c.kind == _of("of_kind")
_DEFINITION: Final = sa.and_(_KIND, _c.definition_id == _of("of_definition"))
_VERSION: Final = sa.and_(_DEFINITION, _c.version == _of("of_version"))
_newer: Final = definition.alias("newer")

NEWEST: Final = sa.select(definition).where(_DEFINITION).order_by(_c.version.desc()).limit(1)
NEWEST_PUBLISHED: Final = NEWEST.where(_c.state == State.PUBLISHED.value)
ONE: Final = sa.select(definition).where(_VERSION)
BY_VERSION_ID: Final = sa.select(definition).where(_KIND, _c.version_id == _of("of_version_id"))
ADD: Final = sa.insert(definition)
CHANGE: Final = sa.update(definition).where(
    _VERSION, _c.revision == _of("before"), _c.state != State.PUBLISHED.value
)
"""Changes what has not been published, if nobody else did meanwhile."""


def listing(state: State | None, after: int | None, count: int) -> sa.Select[Any]:
    """The newest version of each definition among those in a state, newest definition first.

    Takes the parameter `of_kind`.
    """
    wanted = sa.true() if state is None else _c.state == state.value
    as_new = sa.true() if state is None else _newer.c.state == state.value
    superseded = sa.exists().where(
        _newer.c.kind == _c.kind,
        _newer.c.definition_id == _c.definition_id,
        _newer.c.version > _c.version,
        as_new,
    )
    found = sa.select(definition).where(_KIND, wanted, ~superseded)
    if after is not None:
        found = found.where(_c.definition_id < after)
    return found.order_by(_c.definition_id.desc()).limit(count)


def values(version: Version[Any], body: bytes, *, kind: str, name: str) -> dict[str, Any]:
    """All columns of a version; `body` is its body, serialized."""
    return {
        "kind": kind,
        "definition_id": version.definition_id,
        "version": version.version,
        "version_id": version.version_id,
        "name": name,
        "state": version.state.value,
        "author": version.author,
        "checker": version.checker,
        "create_us": to_micros(version.create_time),
        "publish_us": None if version.publish_time is None else to_micros(version.publish_time),
        "revision": version.revision,
        "body": body,
    }


def version_of(row: Row, body: Body) -> Version[Body]:
    """The version that a row holds, with its decoded body."""
    return Version(
        definition_id=row.definition_id,
        version=row.version,
        version_id=row.version_id,
        body=body,
        state=State(row.state),
        author=row.author,
        checker=row.checker,
        create_time=from_micros(row.create_us),
        publish_time=None if row.publish_us is None else from_micros(row.publish_us),
        revision=row.revision,
    )
