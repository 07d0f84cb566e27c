"""The statements of a revision, counted, where the database commits each by itself.

MySQL commits at every change of a table: a process that dies in the middle of a
revision leaves half of it. So each statement is noted before it is sent and after it
took effect, and the next try goes on there. One that was sent and not noted as done
may have taken effect: then the database says that the table, column or index is
there already, or gone already, and of that statement alone this is no failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage.migrations._record import Applied

IN_EFFECT: Final = frozenset({1050, 1051, 1060, 1061, 1091, 1359, 1360, 1826})
"""There already: table, column, index, trigger, constraint. Gone already: the same."""

_READS: Final = ("SELECT", "SHOW", "DESCRIBE", "SET")


class Steps:
    """Counts what a connection does to the database while it is entered.

    Args:
        connection: of an engine of its own.
        revision: as the database knows it.
    """

    def __init__(self, connection: sa.Connection, revision: Applied) -> None:
        self._revision = revision.revision
        self._done = revision.done
        self._doubtful = revision.begun if revision.begun > revision.done else 0
        self._number = 0
        self._entered = False
        engine = connection.engine
        sa.event.listen(engine, "do_execute", self._execute)
        sa.event.listen(engine, "do_execute_no_params", self._execute_plain)
        sa.event.listen(engine, "do_executemany", self._execute_many)

    def __enter__(self) -> None:
        self._entered = True

    def __exit__(self, *_: object) -> None:
        self._entered = False

    def _execute(self, cursor: Any, text: str, values: Any, _context: object) -> bool:
        return self._step(cursor, text, lambda: cursor.execute(text, values))

    def _execute_plain(self, cursor: Any, text: str, _context: object) -> bool:
        return self._step(cursor, text, lambda: cursor.execute(text))

    def _execute_many(self, cursor: Any, text: str, rows: Any, _context: object) -> bool:
        return self._step(cursor, text, lambda: cursor.executemany(text, rows))

    def _step(self, cursor: Any, text: str, execute: Callable[[], None]) -> bool:
        """Whether the statement needs no execution by SQLAlchemy any more."""
        if not self._entered or text.lstrip().upper().startswith(_READS):
            return False
        self._number += 1
        if self._number <= self._done:
            return True
        self._note(cursor, "begun")
        try:
            execute()
        except cursor.connection.DatabaseError as error:
            if self._number != self._doubtful or error.args[0] not in IN_EFFECT:
                raise
        self._note(cursor, "done")
        return True

    def _note(self, cursor: Any, column: str) -> None:
        noting = cursor.connection.cursor()
        noting.execute(
            f"UPDATE engine_migration SET {column} = %s WHERE revision = %s",  # noqa: S608 - own
            (self._number, self._revision),
        )
        noting.execute("COMMIT")
        noting.close()
