"""How a session is set up, whatever the server's own settings say."""

from __future__ import annotations

from enum import Enum, auto
from math import ceil
from typing import Final

from mesh.storage._options import MySQLOptions

SERVER_SHARE: Final = 0.8
"""The server ends a statement after this part of the time in which the client gives it up."""

GONE: Final = 4
"""Times `timeout_s` after which the server ends a session that it hears nothing of.

One that holds the turn of all writers, or of all relays, must not when its client was
cut off from the network.
"""

SQL_MODE: Final = (
    "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
)
"""Nothing is cut, rounded or renumbered silently; backslashes escape, as the driver writes them."""


class Kind(Enum):
    """What a connection is for."""

    READ = auto()
    WRITE = auto()
    SINGLE = auto()
    SCAN = auto()
    PLAIN = auto()


def collation(version: str) -> str:
    """The collation that compares as SQLite does: by bytes, spaces at the end included."""
    return "utf8mb4_nopad_bin" if _is_mariadb(version) else "utf8mb4_0900_bin"


def set_up(version: str, kind: Kind, options: MySQLOptions) -> str:
    """The statements, to be sent as one, that a session begins with."""
    limit_s = options.timeout_s * SERVER_SHARE
    variables = {
        "sql_mode": f"'{SQL_MODE}'",
        "time_zone": "'+00:00'",
        "autocommit": "1",
        "sql_notes": "0",
        "innodb_lock_wait_timeout": str(max(1, int(limit_s))),
    }
    if kind is Kind.SINGLE:  # who waited for a lock may try again; who was slow may not
        variables["innodb_lock_wait_timeout"] = str(max(1, int(limit_s / 2)))
    if kind in (Kind.WRITE, Kind.PLAIN):
        variables["wait_timeout"] = str(max(10, ceil(GONE * options.timeout_s)))
    if kind is Kind.SCAN:
        variables["net_write_timeout"] = str(max(1, ceil(options.scan_block_s)))
    elif kind is not Kind.PLAIN:
        variables.update(_limit(version, limit_s))
    level = "REPEATABLE READ" if kind is Kind.SCAN else "READ COMMITTED"
    # TiDB knows no sessions that only read.
    access = ", READ ONLY" if kind in (Kind.READ, Kind.SCAN) and "TiDB" not in version else ""
    assignments = ", ".join(f"{name} = {value}" for name, value in variables.items())
    return (
        f"SET NAMES utf8mb4 COLLATE {collation(version)}; SET {assignments}; "
        f"SET SESSION TRANSACTION ISOLATION LEVEL {level}{access}"
    )


def _limit(version: str, limit_s: float) -> dict[str, str]:
    if _is_mariadb(version):
        return {"max_statement_time": f"{limit_s:.3f}"}
    return {"max_execution_time": str(max(1, int(limit_s * 1e3)))}


def _is_mariadb(version: str) -> bool:
    return "MariaDB" in version
