"""PDF documents made for tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from io import BytesIO
from random import Random

from pikepdf import Array, Dictionary, Name, Object, Pdf

FONT = Random(0).randbytes(100_000)
"""The program of the font that all pages share."""


def text_of(page: int, own_bytes: int) -> bytes:
    """The content of a page, which no other page has; not compressible by much."""
    noise = Random(page).randbytes(own_bytes // 2).hex().encode()
    return b"BT /F1 12 Tf (page %d) Tj ET %%" % page + noise


def booklet(
    pages: int = 3, *, own_bytes: int = 200, change: Callable[[Pdf], None] = lambda _: None
) -> bytes:
    """A document of so many pages with a shared font; `change` may spoil it."""
    with Pdf.new() as pdf:
        program = pdf.make_stream(FONT)
        font = pdf.make_indirect(
            Dictionary(
                Type=Name.Font,
                Subtype=Name.Type1,
                BaseFont=Name.Helvetica,
                FontDescriptor=pdf.make_indirect(
                    Dictionary(Type=Name.FontDescriptor, FontFile=program)
                ),
            )
        )
        resources = pdf.make_indirect(Dictionary(Font=Dictionary(F1=font)))
        for number in range(1, pages + 1):
            page = pdf.add_blank_page().obj
            page.Contents = pdf.make_stream(text_of(number, own_bytes))
            page.Resources = resources
        _link(pdf)
        change(pdf)
        target = BytesIO()
        pdf.save(target, compress_streams=False)
        return target.getvalue()


def _link(pdf: Pdf) -> None:
    """Each page links to the next one, as tables of contents do."""
    objects: list[Object] = [page.obj for page in pdf.pages]
    for page, other in itertools.pairwise(objects):
        link = Dictionary(
            Type=Name.Annot,
            Subtype=Name.Link,
            Rect=Array([0, 0, 9, 9]),
            Dest=Array([other, Name.Fit]),
            P=page,
        )
        page.Annots = Array([pdf.make_indirect(link)])
