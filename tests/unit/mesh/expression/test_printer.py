"""One spelling for each tree."""

from __future__ import annotations

import pytest

from mesh import expression


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("((a))&&(b||c)", "a && (b || c)"),
        ("(a && b) && c", "(a && b) && c"),
        ("(a - b) - (c - d)", "a - b - (c - d)"),
        ("(a * b) % (c / d)", "a * b % (c / d)"),
        ("(a==b)==c", "(a == b) == c"),
        ("a==(b in [1])", "a == (b in [1])"),
        ("-(5) + -5 - (-a)", "-(5) + -5 - -a"),
        ("!(a == b) && !(!c)", "!(a == b) && !!c"),
        ("(a ? b : c) ? d : (e ? f : g)", "(a ? b : c) ? d : e ? f : g"),
        ("a ? (b ? c : d) : e", "a ? (b ? c : d) : e"),
        ("(5).startsWith('a')", "(5).startsWith('a')"),
        ("(a ? b : c).contains(d.e)", "(a ? b : c).contains(d.e)"),
        ("a.size()", "size(a)"),
        ('"it\'s"', r"'it\'s'"),
        ("'a\\u202eb\\u200bc\\u00a0工'", r"'a\u202eb\u200bc\u00a0工'"),
        ("duration('90m')", "duration('1h30m')"),
        ("duration('0h')", "duration('0s')"),
        ("timestamp('2026-01-01T08:00:00.50+08:00')", "timestamp('2026-01-01T00:00:00.500000Z')"),
    ],
)
def test_a_tree_is_printed_with_the_parentheses_it_needs(text: str, spelling: str) -> None:
    """And with escapes for what cannot be seen or would reorder what is."""
    tree = expression.parse(text)
    assert expression.unparse(tree) == spelling
    assert expression.parse(spelling) == tree


def test_what_cannot_be_seen_in_a_text_can_be_seen_in_its_print() -> None:
    """A checker approves what he reads."""
    assert expression.unparse(expression.parse("a == '\u202e\x07'")) == r"a == '\u202e\u0007'"
