"""Percent-encoding."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayReason
from gateway.urls import decode, parameters
from mesh.errors import MeshError

TEXT = st.text(max_size=20)


@given(TEXT)
def test_what_was_encoded_is_decoded(text: str) -> None:
    """Every text survives."""
    assert decode(quote(text, safe="")) == text


@given(st.lists(st.tuples(TEXT, TEXT).filter(any), max_size=5))
def test_queries_survive(pairs: list[tuple[str, str]]) -> None:
    """Names and values, in order, also repeated ones."""
    assert list(parameters(urlencode(pairs))) == pairs


def test_empty_parts_of_a_query_are_skipped() -> None:
    """A stray ampersand is no parameter; a name without a value has an empty one."""
    assert list(parameters("&a=1&&b&=c&")) == [("a", "1"), ("b", ""), ("", "c")]


@pytest.mark.parametrize("text", ["%", "%a", "%zz", "a%2", "%ff", "%c3%28", "%ed%a0%80"])
def test_bad_escapes_are_refused(text: str) -> None:
    """Cut short, no hexadecimal digits, or no UTF-8."""
    with pytest.raises(MeshError) as caught:
        decode(text)
    assert caught.value.reason is GatewayReason.MALFORMED_URL
