"""Page tokens lead on in their own list and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from centers.customer.errors import CustomerReason
from centers.customer.paging import PageRequest, decode, encode
from mesh.errors import MeshError

NUMBERS = st.integers(-(2**63), 2**63 - 1)
CURSORS = st.lists(NUMBERS, min_size=1, max_size=3).map(tuple)


@given(st.text(), CURSORS)
def test_token_brings_back_its_cursor(listing: str, cursor: tuple[int, ...]) -> None:
    """A token is read back in the list it was made for, and is safe in a URL."""
    token = encode(listing, cursor)
    assert decode(listing, token, len(cursor)) == cursor
    assert token.isascii()
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.text(), st.text(), CURSORS)
def test_token_of_another_list_is_refused(
    listing: str, other: str, cursor: tuple[int, ...]
) -> None:
    """A token does not lead on in a list with another filter or order."""
    assume(listing != other)
    with pytest.raises(MeshError) as refused:
        decode(other, encode(listing, cursor), len(cursor))
    assert refused.value.reason is CustomerReason.PAGE_TOKEN_INVALID
    assert refused.value.violations[0].field == "page_token"


@given(CURSORS, st.integers(0, 200), st.characters())
def test_damaged_token_is_refused(cursor: tuple[int, ...], place: int, letter: str) -> None:
    """One wrong character anywhere makes a token useless, unless it means the same."""
    token = encode("list", cursor)
    place %= len(token)
    damaged = token[:place] + letter + token[place + 1 :]
    assume(damaged != token)
    try:
        found = decode("list", damaged, len(cursor))
    except MeshError:
        return
    assert found == cursor


@given(st.text(max_size=60))
def test_any_other_text_is_refused(token: str) -> None:
    """Text that is no token is refused and nothing worse."""
    with pytest.raises(MeshError):
        decode("list", token, 2)


def test_token_with_other_number_of_keys_is_refused() -> None:
    """A token for an order by one field does not serve an order by two."""
    with pytest.raises(MeshError):
        decode("list", encode("list", (1,)), 2)


@given(st.integers(0, 7), st.integers(0, 20))
def test_pages_show_every_row_once(size: int, rows: int) -> None:
    """Going from page to page shows all rows in order, each once, and then ends."""
    everything = list(range(rows))
    seen: list[int] = []
    token = ""
    for _ in range(rows + 2):
        request = PageRequest(listing="list", size=size, token=token)
        after = request.after(1)
        rest = [row for row in everything if after is None or row > after[0]]
        page = request.page(rest[: request.limit], lambda row: (row,))
        assert len(page.entries) <= (size or 50)
        seen.extend(page.entries)
        token = page.next_token
        if not token:
            break
    assert seen == everything
    assert not token


def test_last_full_page_has_no_next() -> None:
    """A page that shows the last row says so, even when it is full."""
    request = PageRequest(listing="list", size=3, token="")
    assert request.page([1, 2, 3], lambda row: (row,)).next_token == ""
    assert request.page([1, 2, 3, 4], lambda row: (row,)).next_token != ""
