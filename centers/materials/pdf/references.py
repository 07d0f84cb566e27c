"""Which objects of a document refer to which, as numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from pikepdf import Array, Dictionary, Object, Pdf, Stream

NOT_SHOWN: Final = frozenset({"/Parent", "/P", "/B", "/Thumb", "/PieceInfo", "/Metadata", "/Kids"})
"""Entries that lead from what a page shows to other pages, or to what no reader draws."""

Skipped = Collection[str]


def values(container: Object) -> Iterator[tuple[str, Any]]:
    """Entries of a dictionary, a stream's dictionary, or an array (under empty names)."""
    if isinstance(container, Array):
        yield from (("", value) for value in container)
    elif isinstance(container, Dictionary | Stream):
        yield from container.items()


def within(container: Object, skipped: Skipped = ()) -> Iterator[tuple[str, Any]]:
    """All entries below an object that are part of it: what it refers to is met, not entered."""
    waiting = [container]
    while waiting:
        for name, value in values(waiting.pop()):
            if name in skipped:
                continue
            yield name, value
            if isinstance(value, Array | Dictionary) and not value.is_indirect:
                waiting.append(value)


class References:
    """The graph of a document's objects, read as far as it is asked for.

    Args:
        pdf: the document; none of its objects may change meanwhile.
        closed: numbers of objects that are not entered from others.
    """

    def __init__(self, pdf: Pdf, closed: Collection[int]) -> None:
        self._pdf = pdf
        self._closed = closed
        self._known: dict[int, tuple[int, ...]] = {}

    def reachable(self, roots: Collection[int]) -> set[int]:
        """The objects that are needed to show `roots`, without these."""
        found: set[int] = set()
        waiting = [target for root in roots for target in self._of(root)]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting.extend(self._of(number))
        return found

    def _of(self, number: int) -> tuple[int, ...]:
        known = self._known.get(number)
        if known is None:
            targets = referred(self._pdf.get_object(number, 0), NOT_SHOWN)
            known = self._known[number] = tuple(t for t in targets if t not in self._closed)
        return known


def referred(container: Object, skipped: Skipped = ()) -> set[int]:
    """Numbers of the objects that an object refers to."""
    return {
        value.objgen[0]
        for _, value in within(container, skipped)
        if isinstance(value, Object) and value.is_indirect
    }
