"""The centre's tables. The revisions under `migrations/` create them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator

from mesh.clock import from_micros, to_micros


class Moment(TypeDecorator[datetime]):
    """A point in time, stored as microseconds since 1970 in UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_micros(value)


class Names(TypeDecorator[tuple[str, ...]]):
    """Names without spaces, in order, stored as one text."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else " ".join(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        return None if value is None else tuple(value.split())


METADATA: Final = sa.MetaData()

USERS: Final = sa.Table(
    "users",
    METADATA,
    sa.Column("username", sa.String(64), primary_key=True),
    sa.Column("display_name", sa.String(100), nullable=False),
    sa.Column("password_hash", sa.String(200), nullable=False),
    sa.Column("roles", Names(1000), nullable=False),
    sa.Column("staff_id", sa.BigInteger, nullable=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("demo", sa.Boolean, nullable=False),
    sa.Column("created", Moment, nullable=False),
)

SERVICE_ACCOUNTS: Final = sa.Table(
    "service_accounts",
    METADATA,
    sa.Column("client_id", sa.String(64), primary_key=True),
    sa.Column("description", sa.String(200), nullable=False),
    sa.Column("secret_digest", sa.String(64), nullable=False),
    sa.Column("roles", Names(1000), nullable=False),
    sa.Column("created", Moment, nullable=False),
)

SESSIONS: Final = sa.Table(
    "sessions",
    METADATA,
    sa.Column("session_id", sa.String(32), primary_key=True),
    sa.Column("subject", sa.String(80), nullable=False, index=True),
    sa.Column("expires", Moment, nullable=False),
    sa.Column("access_until", Moment, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    # From then on the row is of no use.
    sa.Column("forget_at", Moment, nullable=False, index=True),
    # Its place among those that ended, from 1 on; 0 while it is open.
    sa.Column("end_position", sa.BigInteger, nullable=False, server_default="0", index=True),
)

COUNTERS: Final = sa.Table(
    "counters",
    METADATA,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)

ATTEMPTS: Final = sa.Table(
    "attempts",
    METADATA,
    # What people type as their name may be their password.
    sa.Column("name_digest", sa.String(64), primary_key=True),
    sa.Column("times", sa.String(200), nullable=False),
    sa.Column("tried", Moment, nullable=False, index=True),
)

REFRESH_TOKENS: Final = sa.Table(
    "refresh_tokens",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("session_id", sa.String(32), nullable=False, index=True),
    sa.Column("used", sa.Boolean, nullable=False),
)

BOOTSTRAP_TOKENS: Final = sa.Table(
    "bootstrap_tokens",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("expires", Moment, nullable=False),
)
