"""The entries of logs in Redis, as those who audit them look for them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final, NamedTuple

from mesh.clock import to_micros
from mesh.redis import RedisClient, RedisRefused, RedisUnavailable
from mesh.storage import StorageError, StoreUnavailable
from sequencer.entry import Action, Entry
from sequencer.log import COUNTED, EntryFilter, Usage
from sequencer.store._tables import as_entry, entry_values

BLOCK: Final = 1_000
"""Entries that are read or forgotten at a time."""

SKEW: Final = timedelta(minutes=10)
"""How far the clocks of servers may differ for entries to be found by their time."""

_COUNTED: Final = frozenset(action.value for action in COUNTED)
_END: Final = 2**53
"""Numbers are scores of sorted sets, exact below this."""


class _Row(NamedTuple):
    """An entry's text, a JSON array: its columns in the database, in this order."""

    number: int
    mark: int
    epoch: int
    action: int
    position: int
    size: int
    source: int
    caller: str
    client_id: str
    time_us: int
    next_position: int
    fence: int
    tails: str
    note: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a sequence, all in one slot."""

    uid: int

    @property
    def tip(self) -> str:
        """Hash: what is true after the newest entry."""
        return self._key("tip")

    @property
    def log(self) -> str:
        """Sorted set: entries by number."""
        return self._key("log")

    @property
    def cuts(self) -> str:
        """Sorted set: of these, what was returned or granted again, by source."""
        return self._key("cuts")

    @property
    def all(self) -> tuple[str, str, str]:
        """As the scripts want them."""
        return self.tip, self.log, self.cuts

    def _key(self, name: str) -> str:
        return f"engine:{{seq:{self.uid}}}:{name}"


@contextmanager
def answered() -> Iterator[None]:
    """Errors of Redis as those of a store."""
    try:
        yield
    except RedisUnavailable as error:
        raise StoreUnavailable(str(error)) from error
    except RedisRefused as error:
        raise StorageError(f"Redis refused: {error.code}") from error


def words(new: Iterable[Entry]) -> list[int | str]:
    """Entries as scripts want them: number, source and text of each."""
    return [word for entry in new for word in (entry.number, entry.source, _text(entry))]


class RedisEntries:
    """Reads and forgets entries. Errors are `mesh.storage.StorageError`s."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def next(self, uid: int, number: int) -> Entry | None:
        """The entry of a number, or the next one."""
        found = await self._range(Keys(uid).log, number, "+inf", "BYSCORE", "LIMIT", 0, 1)
        return found[0] if found else None

    async def cut_from(self, uid: int, number: int) -> Sequence[Entry]:
        """The entries whose source has a number."""
        return await self._range(Keys(uid).cuts, number, number, "BYSCORE")

    async def newest(
        self, uid: int, *, before: int, limit: int, only: EntryFilter
    ) -> Sequence[Entry]:
        """Entries, newest first, beginning below a number."""
        found: list[Entry] = []
        async for block in self._back(uid, before):
            found += [entry for entry in block if _is_wanted(entry, only)]
            if len(found) >= limit or (only.since and block[-1].time < only.since - SKEW):
                break
        return found[:limit]

    async def holding(self, uid: int, position: int) -> Sequence[Entry]:
        """Entries whose range holds a position, newest first."""
        first = await self._first(uid, lambda entry: entry.tip.position > position)
        new = await self.next(uid, first)
        again = [entry async for block in self._cuts(uid) for entry in block]
        found = [*again, *([new] if new is not None and not new.source else [])]
        held = [entry for entry in found if entry.position <= position < entry.stop]
        return sorted(held, key=lambda entry: -entry.number)

    async def usage(self, uid: int, since: datetime, until: datetime) -> Mapping[str, Usage]:
        """What each caller took from `since` on and before `until`."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        begin_us, end_us, last_us = map(to_micros, (since, until, until + SKEW))
        number = await self._first(uid, lambda entry: entry.time >= since - SKEW)
        async for block in self._on(uid, number):
            for row in block:
                if row.action in _COUNTED and row.size and begin_us <= row.time_us < end_us:
                    _add(sums[row.caller], row)
            if block[-1].time_us >= last_us:
                break
        return {
            caller: Usage(leases=leases, granted=granted, returned=returned)
            for caller, (leases, granted, returned) in sums.items()
        }

    async def purge(self, uid: int, before: datetime, tip: int) -> int:
        """Forget a block of the oldest from before a moment, below the tip."""
        keys, before_us = Keys(uid), to_micros(before)

        def is_old(row: _Row) -> bool:
            return row.time_us < before_us and row.number < tip

        with answered():
            block = await self._redis.execute("ZRANGE", keys.log, 0, BLOCK - 1)
            old = [*takewhile(lambda text: is_old(_row(text)), block)]
            if old:
                await self._redis.execute("ZREM", keys.cuts, *old)
                await self._redis.execute("ZREM", keys.log, *old)
        return len(old)

    async def _first(self, uid: int, test: Callable[[Entry], bool]) -> int:
        """The number of the first entry that passes a test, as all behind it do; or beyond all."""
        newest = await self._range(Keys(uid).log, -1, -1)
        low, high = 0, newest[0].number + 1 if newest else 0
        while low < high:
            middle = (low + high) // 2
            entry = await self.next(uid, middle)
            if entry is None or test(entry):
                high = middle
            else:
                low = entry.number + 1
        return low

    async def _on(self, uid: int, number: int) -> AsyncIterator[Sequence[_Row]]:
        key = Keys(uid).log
        while block := await self._rows(key, number, "+inf", "BYSCORE", "LIMIT", 0, BLOCK):
            yield block
            number = block[-1].number + 1

    async def _back(self, uid: int, before: int) -> AsyncIterator[Sequence[Entry]]:
        before = min(before, _END)
        while block := await self._range(
            Keys(uid).log, f"({before}", "-inf", "BYSCORE", "REV", "LIMIT", 0, BLOCK
        ):
            yield block
            before = block[-1].number

    async def _cuts(self, uid: int) -> AsyncIterator[Sequence[Entry]]:
        place = 0
        while block := await self._range(Keys(uid).cuts, place, place + BLOCK - 1):
            yield block
            place += len(block)

    async def _range(self, key: str, *words: int | str) -> list[Entry]:
        rows: list[Any] = await self._rows(key, *words)
        return [as_entry(row) for row in rows]

    async def _rows(self, key: str, *words: int | str) -> list[_Row]:
        with answered():
            return [_row(text) for text in await self._redis.execute("ZRANGE", key, *words)]


def _is_wanted(entry: Entry, only: EntryFilter) -> bool:
    return (
        (not only.caller or entry.caller == only.caller)
        and (only.since is None or entry.time >= only.since)
        and (only.until is None or entry.time < only.until)
        and (not only.actions or entry.action in only.actions)
    )


def _add(sums: list[int], row: _Row) -> None:
    if row.action == Action.GRANTED.value:
        sums[0] += 1
        sums[1] += row.size
    else:
        sums[2] += row.size


def _text(entry: Entry) -> str:
    return json.dumps(_Row(**entry_values(entry)), separators=(",", ":"), ensure_ascii=False)


def _row(text: bytes) -> _Row:
    return _Row(*json.loads(text))
