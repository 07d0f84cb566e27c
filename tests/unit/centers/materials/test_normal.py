"""Documents rewritten: what is taken, and that ranges suffice for a page."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pikepdf import Array, AttachedFileSpec, Dictionary, Encryption, Name, Pdf

from centers.materials.pdf.excerpt import excerpt, sparse
from centers.materials.pdf.normal import Normal, normal
from centers.materials.pdf.refusal import Refusal, Refused
from tests.unit.centers.materials.paper import FONT, booklet, text_of


def open_action(action: Dictionary) -> Callable[[Pdf], None]:
    def change(pdf: Pdf) -> None:
        pdf.Root.OpenAction = action

    return change


def attach(pdf: Pdf) -> None:
    pdf.attachments["tool.exe"] = AttachedFileSpec(pdf, b"MZ")


def form(pdf: Pdf) -> None:
    pdf.Root.AcroForm = Dictionary(Fields=Array([]), XFA=pdf.make_stream(b"<xdp/>"))


def on_a_link(pdf: Pdf) -> None:
    pdf.pages[0].obj.Annots[0].A = Dictionary(S=Name.Launch, F=b"cmd.exe")


def refusal(source: bytes) -> tuple[Refusal, str]:
    with pytest.raises(Refused) as failed:
        normal(source)
    return failed.value.refusal, failed.value.fact


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (open_action(Dictionary(S=Name.JavaScript, JS=b"app.alert(1)")), "/JavaScript"),
        (open_action(Dictionary(S=Name.URI, Next=Dictionary(S=Name.SubmitForm))), "/SubmitForm"),
        (on_a_link, "/Launch"),
        (attach, "/EF"),
        (form, "/XFA"),
    ],
)
def test_a_document_that_acts_is_refused(change: Callable[[Pdf], None], fact: str) -> None:
    """Wherever the action hangs; the refusal says what it is."""
    found, named = refusal(booklet(change=change))
    assert found is Refusal.ACTIVE
    assert named in {fact, "/EmbeddedFiles", "/JS"}


def test_an_encrypted_document_is_refused() -> None:
    """With a password to open it, and with one for its owner alone."""
    for user in ("secret", ""):
        target = BytesIO()
        with pikepdf.open(BytesIO(booklet())) as pdf:
            pdf.save(target, encryption=Encryption(owner="owner", user=user))
        assert refusal(target.getvalue()) == (Refusal.ENCRYPTED, "")


@pytest.mark.parametrize(
    "source",
    [
        b"<html>",
        b"%PDF-1.7\nnothing more",
        b"MZ" + booklet(),
        booklet()[:-2_000],
        booklet(pages=0),
    ],
    ids=["html", "no objects", "prefixed", "cut short", "no pages"],
)
def test_what_is_no_whole_document_is_refused(source: bytes) -> None:
    """It is not mended: a mended one would lack pages and nobody would know."""
    assert refusal(source)[0] is Refusal.NOT_A_PDF


def test_the_same_upload_becomes_the_same_bytes() -> None:
    """So that an attempt that was cut off is gone on with."""
    source = booklet()
    assert normal(source) == normal(source)


def test_ranges_name_the_bytes_that_they_are_of() -> None:
    """Rising, without overlap, each with its digest, for head and pages."""
    made = normal(booklet(pages=20))
    assert made.sha256 == hashlib.sha256(made.content).hexdigest()
    assert len(made.page_ranges) == 20
    for ranges in (made.head, *made.page_ranges):
        assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
        for first, last, sha256 in ranges:
            assert hashlib.sha256(made.content[first : last + 1]).hexdigest() == sha256


def test_pages_name_what_they_share_by_the_same_range() -> None:
    """So that a reader fetches the font once."""
    made = normal(booklet(pages=20))
    shared = set.intersection(*(set(ranges) for ranges in made.page_ranges))
    assert sum(last + 1 - first for first, last, _ in shared) >= len(FONT)
    own = [set(ranges) - shared for ranges in made.page_ranges]
    assert all(own)
    assert len(set.union(*own)) == sum(map(len, own))


def spans(made: Normal, *pages: int) -> list[tuple[int, int]]:
    ranges = [*made.head, *(r for page in pages for r in made.page_ranges[page - 1])]
    return sorted({(first, last) for first, last, _ in ranges})


def cut(made: Normal, *pages: int) -> BytesIO:
    """The document with nothing but the head and what these pages need."""
    needed = spans(made, *pages)
    content = b"".join(made.content[first : last + 1] for first, last in needed)
    return sparse(len(made.content), needed, content)


def shown(pdf: Pdf, page: int) -> tuple[bytes, bytes]:
    """What a page shows: its content, and the program of its font."""
    found: Any = pdf.pages[page - 1].obj
    font = found.Resources.Font.F1.FontDescriptor.FontFile
    return found.Contents.read_bytes(), font.read_bytes()


@hypothesis_settings(max_examples=15)
@given(st.integers(1, 40), st.data())
def test_head_and_ranges_of_a_page_suffice_to_show_it(pages: int, data: st.DataObject) -> None:
    """Another reader opens the document from these bytes alone, and finds page and font."""
    made = normal(booklet(pages))
    page = data.draw(st.integers(1, pages))
    with pikepdf.open(cut(made, page), attempt_recovery=False) as pdf:
        assert len(pdf.pages) == pages
        assert shown(pdf, page) == (text_of(page, 200), FONT)


def test_nothing_less_suffices() -> None:
    """Without the page's own ranges its content is not there."""
    made = normal(booklet(pages=5))
    with pikepdf.open(cut(made, 1), attempt_recovery=False) as pdf:
        assert shown(pdf, 1)[0] == text_of(1, 200)
        with pytest.raises((pikepdf.PdfError, AttributeError, ValueError)):
            shown(pdf, 5)


def inherit(pdf: Pdf) -> None:
    """Resources stand in a node above the pages, under one more node."""
    root = pdf.Root.Pages
    middle = pdf.make_indirect(
        Dictionary(
            Type=Name.Pages,
            Parent=root,
            Kids=Array(list(root.Kids)),
            Count=root.Count,
            Resources=pdf.pages[0].obj.Resources,
        )
    )
    for kid in middle.Kids:
        kid.Parent = middle
        del kid["/Resources"]
    root.Kids = Array([middle])


def test_what_a_page_inherits_is_among_its_ranges() -> None:
    """Resources may stand above the page."""
    made = normal(booklet(pages=6, change=inherit))
    with pikepdf.open(BytesIO(excerpt(cut(made, 4), 4, 4))) as pdf:
        assert shown(pdf, 1) == (text_of(4, 200), FONT)


def test_an_excerpt_has_the_pages_and_no_others() -> None:
    """Links between pages do not drag the rest along."""
    made = normal(booklet(pages=30, own_bytes=4_000))
    content = excerpt(cut(made, 3, 4, 5), 3, 5)
    with pikepdf.open(BytesIO(content)) as pdf:
        assert len(pdf.pages) == 3
        assert [shown(pdf, page)[0] for page in (1, 2, 3)] == [text_of(n, 4_000) for n in (3, 4, 5)]
    assert len(content) < len(FONT) + 3 * 4_000 + 8_000
    assert content == excerpt(cut(made, 3, 4, 5), 3, 5)
