"""The route table: the most specific route wins."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayReason
from gateway.routes import RouteTable
from gateway.templates import TemplateError, parse
from mesh.errors import MeshError


def table(*routes: str) -> RouteTable[str]:
    """A table of routes written as "METHOD /path"."""
    result: RouteTable[str] = RouteTable()
    for route in routes:
        method, _, template = route.partition(" ")
        result.add(method, parse(template), route)
    return result


def refused(routes: RouteTable[str], method: str, path: str) -> MeshError:
    with pytest.raises(MeshError) as caught:
        routes.match(method, path)
    return caught.value


@pytest.mark.parametrize(
    ("method", "path", "route", "values"),
    [
        ("GET", "/v1/customers", "GET /v1/customers", ()),
        ("GET", "/v1/customers/12", "GET /v1/customers/{id}", ("12",)),
        ("GET", "/v1/customers/special", "GET /v1/customers/special", ()),
        ("GET", "/v1/%63ustomers/special", "GET /v1/customers/special", ()),
        ("POST", "/v1/customers/special", "POST /v1/customers/{id}", ("special",)),
        ("HEAD", "/v1/customers/12", "GET /v1/customers/{id}", ("12",)),
        ("POST", "/v1/customers/a:merge", "POST /v1/customers/{id}:merge", ("a",)),
        ("POST", "/v1/customers/a:b:merge", "POST /v1/customers/{id}:merge", ("a:b",)),
        ("POST", "/v1/customers/a:other", "POST /v1/customers/{id}", ("a:other",)),
        ("POST", "/v1/customers/a%3Amerge", "POST /v1/customers/{id}", ("a:merge",)),
        ("POST", "/v1/customers:import", "POST /v1/customers:import", ()),
        ("GET", "/v1/files", "GET /v1/{path=files/**}", ("files",)),
        ("GET", "/v1/files/a/b", "GET /v1/{path=files/**}", ("files/a/b",)),
        ("GET", "/v1/files/a/b:raw", "GET /v1/{path=files/**}:raw", ("files/a/b",)),
        ("GET", "/v1/files/a", "GET /v1/files/{one}", ("a",)),
    ],
)
def test_requests_find_their_route(
    method: str, path: str, route: str, values: tuple[str, ...]
) -> None:
    """Literals before variables before "**"; a verb where there is one, else part of the value."""
    routes = table(
        "GET /v1/customers",
        "GET /v1/customers/{id}",
        "GET /v1/customers/special",
        "POST /v1/customers/{id}",
        "POST /v1/customers/{id}:merge",
        "POST /v1/customers:import",
        "GET /v1/{path=files/**}",
        "GET /v1/{path=files/**}:raw",
        "GET /v1/files/{one}",
    )
    match = routes.match(method, path)
    assert (match.target, match.values) == (route, values)


@pytest.mark.parametrize(
    "path", ["/", "/v2", "/v1", "/v1/", "//v1/a", "/v1//", "/v1/a/", "/v1/a/b", "/v1/a//b", "/V1/a"]
)
def test_other_paths_are_not_found(path: str) -> None:
    """Also those with an empty segment or a slash too many."""
    assert refused(table("GET /v1/{a}"), "GET", path).reason is GatewayReason.ROUTE_NOT_FOUND


def test_empty_segments_are_not_swallowed_by_double_wildcards() -> None:
    """Not even there."""
    routes = table("GET /v1/{a=**}")
    for path in ("/v1//", "/v1/a//b", "/v1/"):
        assert refused(routes, "GET", path).reason is GatewayReason.ROUTE_NOT_FOUND


def test_wrong_method_tells_the_right_ones() -> None:
    """Those of every template that matches the path; GET brings HEAD."""
    routes = table("GET /v1/{a}", "DELETE /v1/x", "POST /v1/{a}:go", "PUT /v2/{a}")
    error = refused(routes, "PATCH", "/v1/x")
    assert error.reason is GatewayReason.METHOD_NOT_ALLOWED
    assert error.metadata["allow"] == "DELETE, GET, HEAD, OPTIONS"
    assert refused(routes, "HEAD", "/v2/x").metadata["allow"] == "OPTIONS, PUT"


def test_the_same_route_twice_is_refused() -> None:
    """Whatever the variables are called; another method or verb is another route."""
    routes = table("GET /v1/{a}", "POST /v1/{a}", "GET /v1/{a}:x")
    with pytest.raises(TemplateError, match="taken"):
        routes.add("GET", parse("/v1/{b=*}"), "again")


SEGMENTS = st.sampled_from(["a", "b", "*"])
TEMPLATES = st.builds(
    lambda segments, tail: "/" + "/".join([*segments, *tail]),
    st.lists(SEGMENTS, min_size=1, max_size=4),
    st.sampled_from([(), ("**",)]),
)


def _specificity(template: str) -> tuple[int, ...]:
    """Segment by segment; a template that has ended counts between "*" and "**"."""
    order = {"**": 3, "*": 1}
    return (*(order.get(segment, 0) for segment in template[1:].split("/")), 2)


def _matches(template: str, path: tuple[str, ...]) -> bool:
    segments = template[1:].split("/")
    if segments[-1] == "**":
        segments.pop()
        path = path[: len(segments)] if len(path) >= len(segments) else ()
    return len(segments) == len(path) and all(
        wanted in {"*", segment} for wanted, segment in zip(segments, path, strict=True)
    )


@given(templates=st.lists(TEMPLATES, unique=True, min_size=1, max_size=8), data=st.data())
def test_specificity_decides_and_not_the_order_of_declaration(
    templates: list[str], data: st.DataObject
) -> None:
    """Against a search through all templates, for every path, in any order of declaration."""
    routes = table(*(f"GET {t}" for t in data.draw(st.permutations(templates))))
    for length in (1, 2, 3):
        for path in product(["a", "b", "c"], repeat=length):
            expected = min(
                (t for t in templates if _matches(t, path)), key=_specificity, default=None
            )
            if expected is None:
                refused(routes, "GET", "/" + "/".join(path))
            else:
                assert routes.match("GET", "/" + "/".join(path)).target == f"GET {expected}"


@given(st.text(alphabet="ab/:.%2Fe*{}", max_size=12))
def test_any_path_is_matched_or_refused(path: str) -> None:
    """No path breaks the table."""
    routes = table("GET /a/{x}", "GET /a/{x=**}", "GET /a/{x}:b", "GET /{x}/b")
    try:
        routes.match("GET", "/" + path)
    except MeshError as error:
        reasons = {GatewayReason.MALFORMED_URL, GatewayReason.ROUTE_NOT_FOUND}
        assert error.reason in reasons  # noqa: PT017 - both outcomes are right
