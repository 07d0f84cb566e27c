"""The same call twice has one effect and one answer.

A call that carries a request id is known to its store by `idempotent_call`.
The store keeps its answer in the transaction of its effect, and finds it there
when the call comes again.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mesh.clock import to_micros
from mesh.errors import MeshError, MeshReason
from mesh.storage._base import Row, Store

PURGE_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class IdempotentCall:
    """A call that carries a request id. Each arrival is an object of its own.

    Args:
        caller: who is answerable, as `RequestContext.actor` names him.
        method: "/package.Service/Method".
        request_id: as the caller gave it.
        request_hash: a digest of the request; another request under the same id differs.
    """

    caller: str
    method: str
    request_id: str
    request_hash: bytes

    @property
    def key(self) -> dict[str, Any]:
        """The primary key of its record."""
        return {"caller": self.caller, "method": self.method, "request_id": self.request_id}


idempotent_call: Final[ContextVar[IdempotentCall | None]] = ContextVar(
    "engine_idempotent_call", default=None
)
"""The call that this task serves, when it carries a request id."""


class Replayed(Exception):  # noqa: N818  # an answer, not an error
    """The call had its effect before; here is its answer, serialized."""

    def __init__(self, response: bytes) -> None:
        self.response = response
        super().__init__("the call was answered before")


metadata: Final = sa.MetaData()

records: Final = sa.Table(
    "engine_idempotency",
    metadata,
    sa.Column("caller", sa.String(200), primary_key=True),
    sa.Column("method", sa.String(200), primary_key=True),
    sa.Column("request_id", sa.String(200), primary_key=True),
    sa.Column("request_hash", sa.LargeBinary(64), nullable=False),
    sa.Column("response", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False, comment="microseconds, UTC"),
    sa.Index("engine_idempotency_created_at", "created_at"),
)

FIND: Final = sa.select(records.c.request_hash, records.c.response).where(
    records.c.caller == sa.bindparam("caller"),
    records.c.method == sa.bindparam("method"),
    records.c.request_id == sa.bindparam("request_id"),
)
KEEP: Final = sa.insert(records)

_OLDEST: Final = (
    sa.select(records.c.created_at)
    .where(records.c.created_at < sa.bindparam("moment"))
    .order_by(records.c.created_at)
    .limit(PURGE_BATCH)
)
_PURGE: Final = sa.delete(records).where(records.c.created_at <= sa.bindparam("moment"))


def verdict(call: IdempotentCall, record: Row) -> Exception:
    """What to raise when the call's record exists."""
    if record.request_hash == call.request_hash:
        return Replayed(record.response)
    return MeshError(MeshReason.REQUEST_ID_REUSED)


async def purge_idempotency(store: Store, older_than: datetime) -> int:
    """Remove the answers kept before a moment, a batch at a time; how many there were."""
    moment = to_micros(older_than)
    removed = 0
    while batch := await store.fetch_all(_OLDEST, {"moment": moment}):
        async with store.transaction() as transaction:
            removed += await transaction.execute(_PURGE, {"moment": batch[-1].created_at})
    return removed
