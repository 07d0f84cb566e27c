"""Where the objects of a rewritten document lie, and which bytes each page needs.

An object's bytes go from its own place to that of the next one. Ranges of a page
join objects that lie close together, but never one that several pages need with
one that is this page's own: so a reader that has the font of page 1 finds the
same range named for page 2.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pikepdf import Dictionary, Object, Pdf

from centers.materials.pdf.references import References, referred

GAP_BYTES: Final = 1 << 10
"""Bytes that are rather read along than asked around: a request costs as much."""

FOR_ALL_PAGES: Final = "/OCProperties"
"""The entry of the catalogue that decides which layers of every page are shown."""

Span = tuple[int, int]
"""First and last byte, inclusive."""


class Placement:
    """Answers which bytes are needed for what.

    Args:
        pdf: the rewritten document, without object streams.
        size: its bytes.
        table: where its cross references begin.
    """

    def __init__(self, pdf: Pdf, size: int, table: int) -> None:
        places = {
            number: entry.offset
            for (number, _), entry in pdf.get_xref_table().items()
            if entry.offset is not None
        }
        self._starts = sorted([*places.values(), table])
        self._places = places
        self._tail = (table, size - 1)
        self._pages = [page.obj.objgen[0] for page in pdf.pages]
        nodes = set(_nodes(pdf))
        self._references = References(pdf, {*self._pages, *nodes})
        self._above = [
            [node.objgen[0] for node in _above(page.obj) if node.objgen[0] in nodes]
            for page in pdf.pages
        ]
        self._catalog = pdf.Root
        self._nodes = nodes

    def head(self) -> Sequence[Span]:
        """What every reader needs first.

        The file's beginning, catalogue, page tree with the dictionaries of all pages
        (a reader counts them), what decides over all pages, and cross references.
        """
        needed = {self._catalog.objgen[0], *self._nodes, *self._pages}
        layers = self._catalog.get(FOR_ALL_PAGES)
        if isinstance(layers, Object):
            roots = {layers.objgen[0]} if layers.is_indirect else referred(layers)
            needed |= roots | self._references.reachable(roots)
        placed = (self._span(number) for number in needed if number in self._places)
        spans = sorted([(0, self._starts[0] - 1), *placed, self._tail])
        return list(_joined((span, False) for span in spans))

    def pages(self) -> Iterator[Sequence[Span]]:
        """What each page needs beside the head."""
        needed = [
            self._references.reachable([page, *above])
            for page, above in zip(self._pages, self._above, strict=True)
        ]
        uses = Counter(number for numbers in needed for number in numbers)
        for numbers in needed:
            placed = sorted((self._span(n), uses[n] > 1) for n in numbers if n in self._places)
            yield list(_joined(placed))

    def _span(self, number: int) -> Span:
        start = self._places[number]
        return start, self._starts[bisect_right(self._starts, start)] - 1


def _joined(placed: Iterable[tuple[Span, bool]]) -> Iterator[Span]:
    """Rising spans, each with its kind, as few as may be."""
    begun: tuple[Span, bool] | None = None
    for span, kind in placed:
        if begun is not None and kind == begun[1] and span[0] <= begun[0][1] + 1 + GAP_BYTES:
            begun = ((begun[0][0], max(begun[0][1], span[1])), kind)
            continue
        if begun is not None:
            yield begun[0]
        begun = (span, kind)
    if begun is not None:
        yield begun[0]


def _nodes(pdf: Pdf) -> Iterator[int]:
    """The page tree without its leaves."""
    waiting, seen = [pdf.Root.Pages], set[int]()
    while waiting:
        node = waiting.pop()
        if node.objgen[0] not in seen and "/Kids" in node:
            seen.add(node.objgen[0])
            yield node.objgen[0]
            waiting.extend(kid for kid in node.Kids if isinstance(kid, Dictionary))


def _above(page: Object) -> Iterator[Object]:
    """The nodes that a page inherits from."""
    node, seen = page.get("/Parent"), set[int]()
    while isinstance(node, Dictionary) and node.objgen[0] not in seen:
        seen.add(node.objgen[0])
        yield node
        node = node.get("/Parent")
