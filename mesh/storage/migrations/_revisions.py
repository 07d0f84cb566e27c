"""The revisions in a service's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from mesh.storage._errors import SchemaMismatch
from mesh.storage.migrations import _record as record
from mesh.storage.migrations._record import Applied
from mesh.storage.migrations._steps import Steps

if TYPE_CHECKING:
    from alembic.script import Script

_op: Final = Lock()
"""Alembic's `op` is one for the whole process."""


class Revisions:
    """A folder of revisions, one after another.

    Raises:
        SchemaMismatch: there is no `versions`, or it has not one newest revision.
    """

    def __init__(self, migrations: Path) -> None:
        from alembic.script import ScriptDirectory  # noqa: PLC0415  # takes 0.2 s to import
        from alembic.util import CommandError  # noqa: PLC0415

        versions = migrations / "versions"
        if not versions.is_dir():
            raise SchemaMismatch(f"there is no folder {versions}")
        self._scripts = ScriptDirectory(str(migrations), version_locations=[str(versions)])
        try:
            self.newest = self._scripts.get_current_head()
            oldest_last = list(self._scripts.walk_revisions())
        except CommandError as error:
            raise SchemaMismatch(f"{versions}: {error}") from error
        self._all = {script.revision: script for script in reversed(oldest_last)}

    def __contains__(self, revision: str | None) -> bool:
        return revision is None or revision in self._all

    def after(self, revision: str | None) -> Sequence[Script]:
        """Those that a database at a revision does not have, the oldest first."""
        names = list(self._all)
        return [self._all[name] for name in names[names.index(revision) + 1 if revision else 0 :]]

    def until(self, revision: str | None) -> Sequence[Script]:
        """Those that a database at a revision has, the oldest first."""
        names = list(self._all)
        return [self._all[name] for name in names[: names.index(revision) + 1 if revision else 0]]

    def apply(self, connection: sa.Connection, script: Script) -> None:
        """Run one revision, or what is left of it, and remember it."""
        with connection.begin():
            known = record.begin(connection, describe(script))
            if connection.dialect.name == "sqlite":
                self._run(connection, script)
                self._remember(connection, script)
                return
        with connection.begin(), Steps(connection, known):
            self._run(connection, script)
        with connection.begin():
            self._remember(connection, script)

    def _run(self, connection: sa.Connection, script: Script) -> None:
        from alembic.migration import MigrationContext  # noqa: PLC0415
        from alembic.operations import Operations  # noqa: PLC0415

        with _op, Operations.context(MigrationContext.configure(connection)):
            script.module.upgrade()

    def _remember(self, connection: sa.Connection, script: Script) -> None:
        from alembic.migration import MigrationContext  # noqa: PLC0415

        MigrationContext.configure(connection).stamp(self._scripts, script.revision)
        record.finish(connection, script.revision)


def describe(script: Script, *, finished: bool = False) -> Applied:
    """What a database remembers of a revision."""
    return Applied(
        revision=script.revision,
        parent=str(script.down_revision or ""),
        contracts=bool(getattr(script.module, "contracts", False)),
        finished=finished,
    )
