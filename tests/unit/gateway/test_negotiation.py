"""Media types and languages."""

from __future__ import annotations

import pytest

from gateway.negotiation import accepts_json, is_json, prefers_chinese


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json; charset="utf-8"', True),
        ("application/json; charset=gbk", False),
        ("application/json; odata=x", True),
        ("application/x-www-form-urlencoded", False),
        ("application/problem+json", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_content_type(content_type: str, expected: bool) -> None:
    """JSON in UTF-8 and nothing else."""
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("application/*;q=0.1", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("text/html", False),
        ("application/json;q=0", False),
        ("*/*, application/json;q=0", False),
        ("*/*;q=0, application/json", True),
        ("application/json;q=nonsense", False),
        (",,", False),
    ],
)
def test_accept(accept: str, expected: bool) -> None:
    """The most specific range decides."""
    assert accepts_json(accept) is expected


@pytest.mark.parametrize(
    ("language", "chinese"),
    [
        ("", False),
        ("zh", True),
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("ZH-tw", True),
        ("en-US,en;q=0.9,zh;q=0.8", False),
        ("en;q=0.1,zh;q=0.2", True),
        ("fr", False),
        ("zh;q=0", False),
        ("*", False),
    ],
)
def test_language(language: str, chinese: bool) -> None:
    """Chinese where it is wanted more than English."""
    assert prefers_chinese(language) is chinese
