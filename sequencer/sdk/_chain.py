"""Ids at the speed of a C iterator, from a Python function that is asked for more.

Nothing but C runs for an id. What makes that safe under threads, any number of
which may stand in the same chain:

- its inner iterators never run Python and never let the interpreter lock go,
  because another thread may drop one that is in use;
- its source answers the *same* range iterator as long as that has ids, so one
  that another thread overwrites loses none;
- its source never raises and never ends, because either would end the chain
  for good: an exception is handed on as an iterator that raises it once. (An
  exception of a signal handler that strikes on the very first instruction of
  `_take`, or while it hands on another one, cannot be caught; no wait ever
  happens there. A handler that takes ids catches its own SequenceEmpty.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import chain
from typing import Protocol, cast


class RangeIterator(Protocol):
    """What `iter(range(…))` answers; each method is one step under the interpreter lock."""

    def __iter__(self) -> Iterator[int]: ...
    def __next__(self) -> int: ...
    def __length_hint__(self) -> int: ...
    def __setstate__(self, index: int, /) -> None: ...


class IdChain:
    """Takes ids one by one from the range iterators that `piece` answers.

    `ids` never ends; `next_id` is its step, bound once, and may be kept by its
    user for ever. `piece` may wait and may raise; it answers the same iterator
    until that has run out.
    """

    __slots__ = ("__weakref__", "_piece", "_source", "ids", "next_id")

    def __init__(self, piece: Callable[[], RangeIterator]) -> None:
        self._piece = piece
        self._source = iter(self._take, None)  # kept for a thread that is in it
        self.ids: Iterator[int] = chain.from_iterable(self._source)
        self.next_id: Callable[[], int] = self.ids.__next__

    def _take(self) -> Iterator[int]:
        try:
            return self._piece()
        except BaseException as error:  # noqa: BLE001 - an interrupt too would end the chain
            return raising(error)


def iterate(ids: range) -> RangeIterator:
    """`iter(ids)`, typed."""
    return cast("RangeIterator", iter(ids))


def _end() -> Generator[None, None, None]:
    yield


_ended = cast("Callable[[BaseException], int]", _end().throw)
with suppress(KeyError):
    _ended(KeyError())  # from now on the generator raises without running a frame


def raising(error: BaseException) -> Iterator[int]:
    """An iterator, all in C, that raises `error` once and then has ended."""
    return map(_ended, (error.with_traceback(None),))
