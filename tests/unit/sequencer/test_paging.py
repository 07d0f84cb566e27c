"""Page tokens of the sequencer's lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import MeshError
from sequencer._paging import cursor_of, number_of, page
from sequencer.errors import SequencerReason

TOKEN = page("list", ["a", "b", "c"], 2, str)[1]


@given(st.text(), st.text(min_size=1))
def test_a_token_leads_back_to_its_cursor(listing: str, cursor: str) -> None:
    """Whatever the cursor, the next request finds it again."""
    _, token = page(listing, [cursor, "more"], 1, str)

    assert cursor_of(listing, token) == cursor


def test_the_last_page_has_no_token() -> None:
    """As many rows as fit, and nothing to go on with."""
    assert page("list", ["a", "b"], 2, str) == (["a", "b"], "")
    assert page("list", ["a", "b", "c"], 2, str)[0] == ["a", "b"]
    assert cursor_of("list", "") == ""


@pytest.mark.parametrize(
    "token", ["x", "é", "AAAA", TOKEN[:-1], TOKEN + "A", TOKEN + "=", " " + TOKEN, TOKEN[::-1]]
)
def test_a_token_that_was_changed_is_refused(token: str) -> None:
    """A token is taken as it was given or not at all."""
    with pytest.raises(MeshError) as caught:
        cursor_of("list", token)

    assert caught.value.reason is SequencerReason.PAGE_TOKEN_INVALID
    assert caught.value.violations[0].field == "page_token"


def test_a_token_of_another_list_is_refused() -> None:
    """A cursor of one list means nothing in another."""
    with pytest.raises(MeshError):
        cursor_of("other list", TOKEN)


def test_cursors_of_numbers_are_numbers() -> None:
    """A list by number goes on after a 64-bit number, and after nothing else."""
    assert number_of("list", "") is None
    assert number_of("list", page("list", [41, 42], 1, str)[1]) == 41
    for cursor in ("a", "²", "-1", "9" * 20, "9" * 5_000):
        with pytest.raises(MeshError):
            number_of("list", page("list", [cursor, ""], 1, str)[1])


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(token: str) -> None:
    """Whatever is sent as a token, it is a cursor or the caller's mistake."""
    reason = None
    try:
        cursor_of("list", token)
    except MeshError as error:
        reason = error.reason

    assert reason in (None, SequencerReason.PAGE_TOKEN_INVALID)
