"""A document of some pages alone, from the bytes that these pages need."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from pikepdf import Array, Dictionary, ObjectStreamMode, Page, Pdf

from centers.materials.pdf.normal import opened, saved
from centers.materials.pdf.references import NOT_SHOWN


def sparse(size: int, spans: Sequence[tuple[int, int]], content: bytes) -> BytesIO:
    """A document of `size` bytes that are zero outside `spans`; `content` is theirs, in order."""
    whole, at = bytearray(size), 0
    for first, last in spans:
        length = last + 1 - first
        whole[first : last + 1] = content[at : at + length]
        at += length
    return BytesIO(whole)


def excerpt(source: BytesIO, first: int, last: int) -> bytes:
    """A PDF of the pages `first` to `last`, from 1, of a rewritten document.

    Args:
        source: the document; only its head and the ranges of these pages are read.
        first: the first page.
        last: the last one, inclusive.
    """
    with opened(source) as pdf, Pdf.new() as target:
        for page in pdf.pages[first - 1 : last]:
            _cut_off(page)
            target.pages.append(page)
        return saved(target, ObjectStreamMode.generate)


def _cut_off(page: Page) -> None:
    """Take out what leads to other pages; their bytes are not there."""
    for name in NOT_SHOWN - {"/Parent"}:
        if name in page.obj:
            del page.obj[name]
    annotations = page.obj.get("/Annots")
    if isinstance(annotations, Array):
        for annotation in annotations:
            for name in NOT_SHOWN if isinstance(annotation, Dictionary) else ():
                if name in annotation:
                    del annotation[name]
