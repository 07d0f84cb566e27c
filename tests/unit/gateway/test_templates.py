"""Path templates: syntax and values."""

from __future__ import annotations

import pytest

from gateway.errors import GatewayReason
from gateway.templates import Template, TemplateError, parse, split
from mesh.errors import MeshError


def bound(template: str, path: str) -> tuple[str, ...]:
    return parse(template).bind(split(path))


def test_plain_template_has_segments_and_a_verb() -> None:
    """The verb is what follows the last colon."""
    template = parse("/v1/sequences/{name}:lease")
    assert template.segments == ("v1", "sequences", "*")
    assert template.verb == "lease"
    assert [variable.field for variable in template.variables] == ["name"]


@pytest.mark.parametrize(
    ("text", "segments", "fields"),
    [
        ("/v1/{a}/{b.c}", ("v1", "*", "*"), ["a", "b.c"]),
        ("/v1/{a=*}", ("v1", "*"), ["a"]),
        ("/v1/{name=shelves/*/books/*}", ("v1", "shelves", "*", "books", "*"), ["name"]),
        ("/v1/{name=files/**}", ("v1", "files", "**"), ["name"]),
        ("/v1/*/x/**", ("v1", "*", "x", "**"), []),
        ("/.well-known/jwks.json", (".well-known", "jwks.json"), []),
    ],
)
def test_every_kind_of_segment(text: str, segments: tuple[str, ...], fields: list[str]) -> None:
    """Literals, wildcards, and variables over one or several segments."""
    template = parse(text)
    assert template.segments == segments
    assert [variable.field for variable in template.variables] == fields


@pytest.mark.parametrize(
    "text",
    [
        "", "v1", "/", "/v1/", "//v1", "/v1//x", "/v1/{", "/v1/}", "/v1/{}", "/v1/{a", "/v1/a}",
        "/v1/{a}b", "/v1/b{a}", "/v1/{a=}", "/v1/{a={b}}", "/v1/{a..b}", "/v1/{1a}", "/v1/{a-b}",
        "/v1/**/x", "/v1/{a=**}/x", "/v1/***", "/v1/a b", "/v1/ä", "/v1/a%20b", "/v1/{a}/{a}",
        "/v1/x:", "/v1/x:y:", "/v1/a:b/c", "/v1/x?y", "/v1/{a=b//c}", "/v1/{a=*b}",
    ],
)  # fmt: skip
def test_broken_templates_are_refused(text: str) -> None:
    """With a text that quotes them."""
    with pytest.raises(TemplateError, match="'"):
        parse(text)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/v1/{a}", "/v1/x", ("x",)),
        ("/v1/{a}", "/v1/a%2Fb", ("a/b",)),
        ("/v1/{a}", "/v1/a+b", ("a+b",)),
        ("/v1/{a}", "/v1/%E7%8E%8B", ("王",)),
        ("/v1/{a}/{b}", "/v1/1/2", ("1", "2")),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/a%20b/books/2", ("shelves/a b/books/2",)),
        ("/v1/{name=files/**}", "/v1/files/a/b%2Fc%20d", ("files/a/b%2Fc d",)),
        ("/v1/{name=files/**}", "/v1/files/b%2fc", ("files/b%2fc",)),
        ("/v1/{name=**}", "/v1", ("",)),
    ],
)
def test_values_are_decoded(template: str, path: str, values: tuple[str, ...]) -> None:
    """Wholly in one segment; over several an encoded slash stays encoded; plus stays plus."""
    assert bound(template, path) == values


@pytest.mark.parametrize(
    "path",
    ["/a/%", "/a/%2", "/a/%zz", "/a/%ff", "/a/%00", "/a/%0a", "/a/%7f", "/a/.", "/a/..",
     "/a/../b", "/a/%2e%2e/b", "/a/.%2E"],
)  # fmt: skip
def test_paths_that_could_be_read_in_two_ways_are_refused(path: str) -> None:
    """Bad escapes, bytes that are no UTF-8, control characters and dot segments."""
    with pytest.raises(MeshError) as caught:
        split(path)
    assert caught.value.reason is GatewayReason.MALFORMED_URL


def test_templates_are_values() -> None:
    """Equal text, equal template."""
    assert parse("/v1/{a}") == parse("/v1/{a}")
    assert isinstance(hash(parse("/v1/{a}")), int)
    assert isinstance(parse("/v1/{a}"), Template)
