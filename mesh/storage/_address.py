"""Where the database of a service is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from mesh.settings import Settings, SettingsError

DEFAULT_PORT: Final = 3306


@dataclass(frozen=True, slots=True, kw_only=True)
class MySQLAddress:
    """A database on a server that speaks MySQL's protocol: MariaDB, MySQL or TiDB.

    Args:
        ca: the CA of the server's certificate; None: no TLS.
    """

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    ca: Path | None = None


Address: TypeAlias = Path | MySQLAddress
"""A path is that of an SQLite file."""


def address(settings: Settings, service: str) -> Address:
    """The database of a service.

    Raises:
        SettingsError: `ENGINE_DATABASE_URL` cannot be used.
    """
    if not settings.database_url:
        return settings.data_dir / f"{service}.db"
    return mysql_address(settings, settings.database_prefix + service)


def mysql_address(settings: Settings, database: str) -> MySQLAddress:
    """A database of the server that the settings name.

    Raises:
        SettingsError: `ENGINE_DATABASE_URL` cannot be used.
    """
    url = urlsplit(settings.database_url)
    if url.scheme != "mysql" or not url.hostname or url.path.strip("/") or url.query:
        raise SettingsError("ENGINE_DATABASE_URL must look like mysql://user@host:port")
    if url.password is not None:
        raise SettingsError("the password belongs into ENGINE_DATABASE_PASSWORD, not into the URL")
    try:
        port = url.port or DEFAULT_PORT
    except ValueError as error:
        raise SettingsError(f"ENGINE_DATABASE_URL: {error}") from error
    return MySQLAddress(
        host=url.hostname,
        port=port,
        user=url.username or "root",
        database=database,
        password=settings.database_password,
        ca=Path(settings.database_ca) if settings.database_ca else None,
    )
