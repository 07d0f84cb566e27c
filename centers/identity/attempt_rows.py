"""Failed attempts in the database; a bounded table of names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from centers.identity.credentials import digest
from centers.identity.lockout import WINDOW, Times
from centers.identity.tables import ATTEMPTS
from mesh.clock import from_micros, to_micros
from mesh.storage import Store, Transaction, call_record, idempotent_call

MAX_NAMES: Final = 10_000
"""The name that was tried longest ago is forgotten first."""

SWEPT: Final = 20
"""Names that no longer count which a new one removes."""

_ONE: Final = sa.select(ATTEMPTS).where(ATTEMPTS.c.name_digest == sa.bindparam("name"))
_ADD: Final = sa.insert(ATTEMPTS)
_SET: Final = sa.update(ATTEMPTS).where(ATTEMPTS.c.name_digest == sa.bindparam("name"))
_FORGET: Final = sa.delete(ATTEMPTS).where(ATTEMPTS.c.name_digest == sa.bindparam("name"))
_COUNT: Final = sa.select(sa.func.count().label("names")).select_from(ATTEMPTS)
_OLDEST: Final = (
    sa.select(ATTEMPTS.c.name_digest).order_by(ATTEMPTS.c.tried).limit(sa.bindparam("limit"))
)
_OVER: Final = _OLDEST.where(ATTEMPTS.c.tried <= sa.bindparam("before"))


class AttemptRows:
    """Implements `lockout.Attempts`. Its transactions are no effect of the call they serve."""

    def __init__(self, store: Store, *, max_names: int = MAX_NAMES) -> None:
        self._store = store
        self._max_names = max_names

    async def change(self, name: str, now: datetime, apply: Callable[[Times], Times]) -> None:
        key = digest(name)
        with _apart():
            async with self._store.transaction() as tx:
                rows = await tx.fetch_all(_ONE, {"name": key})
                times = apply(_times(rows[0].times) if rows else ())
                if rows:
                    await tx.execute(_SET, {"name": key, "times": _text(times), "tried": now})
                elif times:
                    await self._add(tx, key, times, now)

    async def forget(self, name: str) -> None:
        with _apart():
            async with self._store.transaction() as tx:
                await tx.execute(_FORGET, {"name": digest(name)})

    async def _add(self, tx: Transaction, key: str, times: Times, now: datetime) -> None:
        over = await tx.fetch_all(_OVER, {"before": now - WINDOW, "limit": SWEPT})
        await _drop(tx, [row.name_digest for row in over])
        (held,) = await tx.fetch_all(_COUNT)
        surplus = held.names + 1 - self._max_names
        if surplus > 0:
            oldest = await tx.fetch_all(_OLDEST, {"limit": surplus})
            await _drop(tx, [row.name_digest for row in oldest])
        await tx.execute(_ADD, {"name_digest": key, "times": _text(times), "tried": now})


@contextmanager
def _apart() -> Iterator[None]:
    """Within the block nothing is kept with the call: it has its effect later, or never."""
    record, call = call_record.set(None), idempotent_call.set(None)
    try:
        yield
    finally:
        call_record.reset(record)
        idempotent_call.reset(call)


async def _drop(tx: Transaction, keys: list[str]) -> None:
    if keys:
        await tx.execute(_FORGET, [{"name": key} for key in keys])


def _text(times: Times) -> str:
    return " ".join(str(to_micros(time)) for time in times)


def _times(text: str) -> Times:
    return tuple(from_micros(int(micros)) for micros in text.split())
