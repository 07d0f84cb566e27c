"""The decision centre's database: events and reversals, in the order in which they came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeVar

import orjson
import sqlalchemy as sa

from centers.decision.blocks import blocks
from centers.decision.domain import Event, Fact, Reversal
from centers.decision.tables import business_event, log_head
from centers.decision.tables import reversal as reversal_table
from mesh.storage import Transaction

_e: Final = business_event.c
_AMONG_KEYS: Final = sa.and_(
    _e.event_type == sa.bindparam("type"),
    _e.business_key.in_(sa.bindparam("keys", expanding=True)),
)
_KNOWN: Final = sa.select(_e.business_key).where(_AMONG_KEYS)
_TAKEN_BACK: Final = sa.select(reversal_table.c.business_key).where(
    reversal_table.c.event_type == sa.bindparam("type"),
    reversal_table.c.business_key.in_(sa.bindparam("keys", expanding=True)),
)
_REVERSE: Final = (
    sa.update(business_event)
    .where(_AMONG_KEYS, _e.reversed_us.is_(None))
    .values(reversed_us=sa.bindparam("stamp"))
)
_ADD: Final = sa.insert(business_event)
_ADD_REVERSAL: Final = sa.insert(reversal_table)
_HEAD: Final = sa.select(log_head.c.last_us)
_MOVE_HEAD: Final = sa.update(log_head).values(last_us=sa.bindparam("stamp"))

_place: Final = attrgetter("place")
_type_of: Final = attrgetter("event_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one request added to the log.

    Args:
        stamp: later than that of every entry before.
        new: events that were not known, in the order of `place`.
        taken_back: keys by type of events of earlier requests that may have been reversed now.
        reversed: how many events of any request are reversed by this one.
    """

    stamp: int
    new: Sequence[Fact]
    taken_back: Mapping[str, Sequence[str]]
    reversed: int


class EventLog:
    """Holds events and reversals, each once."""

    async def append(
        self,
        tx: Transaction,
        events: Sequence[Event],
        reversals: Sequence[Reversal],
        now_us: int,
    ) -> Entry:
        """Add what is new. Of two under one key the first counts."""
        stamp = await self._stamp(tx, now_us)
        taken_back = await self._add_reversals(tx, reversals, stamp)
        new = await self._add_events(tx, events, stamp)
        born = sum(fact.reversed_us is not None for fact in new)
        fresh = {(fact.event_type, fact.business_key) for fact in new}
        older = {
            event_type: [key for key in keys if (event_type, key) not in fresh]
            for event_type, keys in taken_back.items()
        }
        count = await self._reverse(tx, older, stamp)
        return Entry(stamp=stamp, new=new, taken_back=older, reversed=born + count)

    async def _stamp(self, tx: Transaction, now_us: int) -> int:
        (row,) = await tx.fetch_all(_HEAD)
        stamp: int = max(now_us, row.last_us + 1)
        await tx.execute(_MOVE_HEAD, {"stamp": stamp})
        return stamp

    async def _add_events(
        self, tx: Transaction, events: Sequence[Event], stamp: int
    ) -> Sequence[Fact]:
        new: list[Fact] = []
        for event_type, first in _first_by_type(events).items():
            known = await _found(tx, _KNOWN, event_type, first)
            fresh = [key for key in first if key not in known]
            reversed_ = await _found(tx, _TAKEN_BACK, event_type, fresh)
            new += [
                _logged(first[key], stamp, stamp if key in reversed_ else None) for key in fresh
            ]
        await tx.execute(_ADD, [_values(fact) for fact in new])
        return sorted(new, key=_place)

    async def _add_reversals(
        self, tx: Transaction, reversals: Sequence[Reversal], stamp: int
    ) -> Mapping[str, Sequence[str]]:
        """Keep those that are new; their keys by type."""
        added: dict[str, Sequence[str]] = {}
        for event_type, first in _first_by_type(reversals).items():
            known = await _found(tx, _TAKEN_BACK, event_type, first)
            added[event_type] = [key for key in first if key not in known]
            rows = [_reversal_values(first[key], stamp) for key in added[event_type]]
            await tx.execute(_ADD_REVERSAL, rows)
        return added

    async def _reverse(
        self, tx: Transaction, keys_by_type: Mapping[str, Sequence[str]], stamp: int
    ) -> int:
        count = 0
        for event_type, keys in keys_by_type.items():
            for block in blocks(keys):
                place = {"type": event_type, "keys": block, "stamp": stamp}
                count += await tx.execute(_REVERSE, place)
        return count


Keyed = TypeVar("Keyed", Event, Reversal)


def _first_by_type(entries: Sequence[Keyed]) -> Mapping[str, Mapping[str, Keyed]]:
    """By type and key, the first of each."""
    found: dict[str, dict[str, Keyed]] = {}
    for event_type, group in groupby(entries, _type_of):
        first = found.setdefault(event_type, {})
        for entry in group:
            first.setdefault(entry.business_key, entry)
    return found


async def _found(
    tx: Transaction, statement: sa.Select[Any], event_type: str, keys: Collection[str]
) -> set[str]:
    found: set[str] = set()
    for block in blocks(list(keys)):
        rows = await tx.fetch_all(statement, {"type": event_type, "keys": block})
        found.update(row.business_key for row in rows)
    return found


def _logged(event: Event, stamp: int, reversed_us: int | None) -> Fact:
    return Fact(
        event_type=event.event_type,
        business_key=event.business_key,
        customer_id=event.customer_id,
        occurred_us=event.occurred_us,
        attributes={**event.numbers, **event.texts},
        ingest_us=stamp,
        reversed_us=reversed_us,
    )


def _values(fact: Fact) -> dict[str, Any]:
    return {
        "event_type": fact.event_type,
        "business_key": fact.business_key,
        "customer_id": fact.customer_id,
        "occurred_us": fact.occurred_us,
        "attributes": orjson.dumps(fact.attributes).decode(),
        "ingest_us": fact.ingest_us,
        "reversed_us": fact.reversed_us,
    }


def _reversal_values(reversal: Reversal, stamp: int) -> dict[str, Any]:
    return {
        "event_type": reversal.event_type,
        "business_key": reversal.business_key,
        "occurred_us": reversal.occurred_us,
        "reason": reversal.reason,
        "ingest_us": stamp,
    }
