"""Page tokens lead on in their own list and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mesh.errors import MeshError, MeshReason
from mesh.paging import Cursor, Page, PageRequest

NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3).map(tuple)
CURSORS: st.SearchStrategy[Cursor] = NUMBERS | st.text(min_size=1)


def first(size: int) -> PageRequest:
    return PageRequest(listing="list", size=size, token="")


def token_of(cursor: Cursor, listing: str = "list") -> str:
    """The token of what follows an entry with this cursor."""
    request = PageRequest(listing=listing, size=1, token="")
    return request.page(["shown", "more"], lambda _: cursor).next_token


def cursor_of(token: str, kind: Cursor, listing: str = "list") -> Cursor | None:
    """What the token says, read as a cursor of the same kind as `kind`."""
    request = PageRequest(listing=listing, size=1, token=token)
    return request.after_text() if isinstance(kind, str) else request.after_numbers(len(kind))


def assert_refused(token: str, kind: Cursor, listing: str = "list") -> None:
    with pytest.raises(MeshError) as refused:
        cursor_of(token, kind, listing)
    assert refused.value.reason is MeshReason.PAGE_TOKEN_INVALID
    assert [violation.field for violation in refused.value.violations] == ["page_token"]


@given(st.text(), CURSORS)
def test_token_brings_back_its_cursor(listing: str, cursor: Cursor) -> None:
    """A token is read back in the list it was made for, and is safe in a URL."""
    token = token_of(cursor, listing)
    assert cursor_of(token, cursor, listing) == cursor
    assert token.isascii()
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.text(), st.text(), CURSORS)
def test_token_of_another_list_is_refused(listing: str, other: str, cursor: Cursor) -> None:
    """A token does not lead on in a list with another filter or order."""
    assume(listing != other)
    assert_refused(token_of(cursor, listing), cursor, other)


def test_name_of_a_list_and_cursor_do_not_run_together() -> None:
    """Where the cursor ends and the list's name begins is part of what is checked."""
    checksum = slice(10)
    assert token_of("ab", "c")[checksum] != token_of("a", "bc")[checksum]


@given(CURSORS, st.integers(0, 200), st.characters())
def test_damaged_token_is_refused(cursor: Cursor, place: int, letter: str) -> None:
    """One wrong character anywhere makes a token useless."""
    token = token_of(cursor)
    place %= len(token)
    damaged = token[:place] + letter + token[place + 1 :]
    assume(damaged != token)
    assert_refused(damaged, cursor)


@given(CURSORS, st.sampled_from(["A", "=", "==", "\n", " ", "é"]))
def test_token_with_anything_about_it_is_refused(cursor: Cursor, more: str) -> None:
    """A token is taken as it was given or not at all."""
    token = token_of(cursor)
    assert_refused(token + more, cursor)
    assert_refused(more + token, cursor)
    assert_refused(token[:-1], cursor)


@given(st.text(min_size=1, max_size=60), CURSORS)
@example("cm0wMDE=\n", "rm001")
@example("cm0w MDE", "rm001")
@example("é", "rm001")
@example("x", (1,))
@example("AAAA", (1,))
def test_any_other_text_is_refused(token: str, kind: Cursor) -> None:
    """Text that is no token is refused and nothing worse."""
    assert_refused(token, kind)


def test_token_with_other_number_of_keys_is_refused() -> None:
    """A token for an order by one field does not serve an order by two."""
    assert_refused(token_of((1,)), (1, 2))
    assert_refused(token_of((1, 2)), (1,))


def test_token_that_holds_no_text_is_refused_where_text_is_wanted() -> None:
    """Bytes that are no UTF-8, and no bytes at all, are not a place in a list by name."""
    assert_refused(token_of((-1,)), "a")
    assert_refused(token_of(()), "a")


def test_no_token_means_the_first_page() -> None:
    """The first page follows nothing."""
    assert first(1).after_numbers(2) is None
    assert first(1).after_text() == ""


@pytest.mark.parametrize(("size", "limit"), [(0, 51), (1, 2), (1000, 1001)])
def test_one_row_more_than_fits_is_read(size: int, limit: int) -> None:
    """Fifty entries are shown where the caller does not say how many."""
    assert first(size).limit == limit


@given(st.integers(0, 7), st.integers(0, 20))
def test_pages_show_every_row_once(size: int, rows: int) -> None:
    """Going from page to page shows all rows in order, each once, and then ends."""
    everything = list(range(rows))
    seen: list[int] = []
    token = ""
    for _ in range(rows + 2):
        request = PageRequest(listing="list", size=size, token=token)
        (after,) = request.after_numbers(1) or (-1,)
        page = request.page(everything[after + 1 :][: request.limit], lambda row: (row,))
        assert len(page.entries) <= (size or 50)
        seen.extend(page.entries)
        token = page.next_token
        if not token:
            break
    assert seen == everything
    assert not token


def test_last_full_page_has_no_next() -> None:
    """A page that shows the last row says so, even when it is full."""
    assert first(3).page([1, 2, 3], lambda row: (row,)) == Page([1, 2, 3], "")
    followed = first(3).page(["a", "b", "c", "d"], str)
    assert followed == Page(["a", "b", "c"], token_of("c"))
