"""How SQLAlchemy's types are written for MySQL, MariaDB and TiDB.

Their own `BLOB`, `TEXT` and `FLOAT` hold 64 KiB or seven digits: what SQLite takes
would be refused, or rounded. Importing this module sets it right for all statements.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

MOST_INLINE: Final = 1_024
"""Bytes up to which binary values of a known length lie in the row, where an index may have them."""


@compiles(sa.LargeBinary, "mysql", "mariadb")
def _binary(type_: sa.LargeBinary, _compiler: Any, **_: Any) -> str:
    if type_.length and type_.length <= MOST_INLINE:
        return f"VARBINARY({type_.length})"
    return "LONGBLOB"


@compiles(sa.Text, "mysql", "mariadb")
def _text(_type: sa.Text, _compiler: Any, **_: Any) -> str:
    return "LONGTEXT"


@compiles(sa.Float, "mysql", "mariadb")
def _float(_type: sa.Float[Any], _compiler: Any, **_: Any) -> str:
    return "DOUBLE"
