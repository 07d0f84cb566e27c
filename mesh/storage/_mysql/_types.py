"""How SQLAlchemy's types are written for MySQL, MariaDB and TiDB.

Their own `BLOB`, `TEXT` and `FLOAT` hold 64 KiB or seven digits: what SQLite takes
would be refused, or rounded.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.mysql.base import MySQLTypeCompiler

MOST_INLINE: Final = 1_024
"""Bytes up to which binary values of a known length lie in the row, where an index has them."""


class MySQLTypes(MySQLTypeCompiler):
    """Writes binaries, texts and floats as wide as SQLite takes them."""

    def visit_large_binary(self, type_: sa.LargeBinary, **_: Any) -> str:
        if type_.length and type_.length <= MOST_INLINE:
            return f"VARBINARY({type_.length})"
        return "LONGBLOB"

    def visit_text(self, type_: sa.Text, **_: Any) -> str:  # noqa: ARG002
        return "LONGTEXT"

    def visit_float(self, type_: sa.Float[Any], **_: Any) -> str:  # noqa: ARG002
        return "DOUBLE"
