"""Which target a method and a path lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.errors import GatewayReason
from gateway.templates import ANY, ONE, Path, Template, TemplateError, split
from mesh.errors import MeshError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """A target and the values that the path gives to its template's variables, in order."""

    target: T
    values: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[T]):
    """What may follow a segment. `ends` and `rest` lead by verb and method to a route."""

    literals: dict[str, _Node[T]] = field(default_factory=dict)
    one: _Node[T] | None = None
    ends: dict[str, dict[str, tuple[Template, T]]] = field(default_factory=dict)
    rest: dict[str, dict[str, tuple[Template, T]]] = field(default_factory=dict)


class RouteTable(Generic[T]):
    """Routes by method and path; the most specific one wins, whatever the order they came in.

    Segment by segment a literal goes before "*", and "*" before "**". HEAD is
    answered where GET is.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, template: Template, target: T) -> None:
        """Add a route.

        Raises:
            TemplateError: the same method and path lead elsewhere already.
        """
        node = self._root
        for segment in template.segments:
            if segment == ANY:
                break
            if segment == ONE:
                node.one = node.one or _Node()
                node = node.one
            else:
                node = node.literals.setdefault(segment, _Node())
        ends = node.rest if template.segments[-1] == ANY else node.ends
        methods = ends.setdefault(template.verb, {})
        if method in methods:
            raise TemplateError(f"{method} {template.text} is taken by {methods[method][0].text}")
        methods[method] = (template, target)

    def match(self, method: str, path: str) -> Match[T]:
        """The target of a request.

        Args:
            method: HTTP method.
            path: as on the wire.

        Raises:
            MeshError: MALFORMED_URL, ROUTE_NOT_FOUND or METHOD_NOT_ALLOWED; the
                last has the methods that are in its metadata under "allow".
        """
        wanted = "GET" if method == "HEAD" else method
        allowed: set[str] = set()
        for verb, segments in _readings(path):
            found: list[dict[str, tuple[Template, T]]] = []
            _collect(self._root, segments.decoded, 0, verb, found)
            for methods in found:
                if wanted in methods:
                    template, target = methods[wanted]
                    return Match(target, template.bind(segments) if template.variables else ())
                allowed.update(methods)
        raise _no_match(allowed)


def _no_match(allowed: set[str]) -> MeshError:
    if not allowed:
        return MeshError(GatewayReason.ROUTE_NOT_FOUND)
    answered = {"OPTIONS", *allowed, *(("HEAD",) if "GET" in allowed else ())}
    allow = ", ".join(sorted(answered))
    return MeshError(GatewayReason.METHOD_NOT_ALLOWED, metadata={"allow": allow})


def _readings(path: str) -> list[tuple[str, Path]]:
    """A colon in the last segment may begin a verb, or be part of a value."""
    whole = ("", split(path))
    base, colon, verb = path.rpartition(":")
    if not colon or "/" in verb:
        return [whole]
    return [(verb, split(base)), whole]


def _collect(
    node: _Node[T],
    segments: Sequence[str],
    index: int,
    verb: str,
    found: list[dict[str, tuple[Template, T]]],
) -> None:
    """Add the routes of all templates that match, by method; most specific template first."""
    if index == len(segments):
        if verb in node.ends:
            found.append(node.ends[verb])
    else:
        segment = segments[index]
        literal = node.literals.get(segment)
        if literal is not None:
            _collect(literal, segments, index + 1, verb, found)
        if node.one is not None and segment:
            _collect(node.one, segments, index + 1, verb, found)
    if verb in node.rest and all(segments[index:]):
        found.append(node.rest[verb])
