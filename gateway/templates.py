"""The path templates of `google.api.http`: their syntax, and what they bind.

    Template  = "/" Segments [ ":" Verb ]
    Segments  = Segment { "/" Segment }
    Segment   = "*" | "**" | Literal | Variable
    Variable  = "{" FieldPath [ "=" Segments ] "}"

"*" stands for one segment that is not empty, "**" for any number of them and
only at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from gateway.errors import GatewayReason
from gateway.urls import decode
from mesh.errors import MeshError

ONE: Final = "*"
ANY: Final = "**"

_PART = re.compile(r"\{(?P<field>[^{}=]+)(?:=(?P<pattern>[^{}]+))?\}|(?P<plain>[^/{}]+)")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()+,;=@]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SLASH = re.compile(r"(%2[fF])")


class TemplateError(ValueError):
    """A template that cannot be served; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A request field bound to the segments `start` to `end`; to the last one if `end` is None."""

    field: str
    start: int
    end: int | None
    single: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A parsed template. Wildcards stand among `segments` as "*" and "**"."""

    text: str
    segments: tuple[str, ...]
    verb: str
    variables: tuple[Variable, ...]

    def bind(self, path: Path) -> tuple[str, ...]:
        """The values of the variables in a path that matches, in their order."""
        return tuple(
            path.decoded[v.start] if v.single else path.joined(v.start, v.end)
            for v in self.variables
        )


@dataclass(frozen=True, slots=True)
class Path:
    """The segments of a request path, as sent and decoded; the verb is no part of them."""

    raw: Sequence[str]
    decoded: Sequence[str]

    def joined(self, start: int, end: int | None) -> str:
        """Several segments as one value: a slash within a segment stays "%2F"."""
        return "/".join(_keep_slashes(segment) for segment in self.raw[start:end])


def parse(text: str) -> Template:
    """Read a template.

    Raises:
        TemplateError: it breaks the syntax or cannot be matched.
    """
    if not text.startswith("/"):
        raise TemplateError(f"'{text}' does not begin with a slash")
    body, verb = _split_verb(text)
    segments: list[str] = []
    variables: list[Variable] = []
    position = 1
    while True:
        part = _PART.match(body, position)
        if part is None:
            raise TemplateError(f"'{text}' is not a path template")
        if part["plain"] is not None:
            segments.append(_segment(part["plain"], text))
        else:
            pattern = [_segment(s, text) for s in (part["pattern"] or ONE).split("/")]
            variables.append(_variable(part["field"], pattern, len(segments), text))
            segments += pattern
        position = part.end()
        if position == len(body):
            break
        if body[position] != "/":
            raise TemplateError(f"'{text}' is not a path template")
        position += 1
    _check(text, segments, variables)
    return Template(text=text, segments=tuple(segments), verb=verb, variables=tuple(variables))


def split(path: str) -> Path:
    """The segments of a path as it came.

    Raises:
        MeshError: MALFORMED_URL, for bad escapes, bytes that are no UTF-8, control
            characters, and the segments "." and "..".
    """
    raw = path[1:].split("/")
    decoded = [_decode(segment) for segment in raw] if "%" in path else raw
    if "." in decoded or ".." in decoded:
        _malformed("'.' and '..' are not served as segments")
    return Path(raw, decoded)


def _split_verb(text: str) -> tuple[str, str]:
    colon = text.rfind(":")
    if colon < max(text.rfind("/"), text.rfind("}")):
        return text, ""
    if not _LITERAL.fullmatch(text, colon + 1):
        raise TemplateError(f"'{text}' has no name after the colon")
    return text[:colon], text[colon + 1 :]


def _segment(text: str, template: str) -> str:
    if text not in {ONE, ANY} and not _LITERAL.fullmatch(text):
        raise TemplateError(f"'{template}' has the segment '{text}'")
    return text


def _variable(field: str, pattern: Sequence[str], start: int, template: str) -> Variable:
    if not _FIELD.fullmatch(field):
        raise TemplateError(f"'{template}' binds '{field}', which is not a field path")
    end = None if pattern[-1] == ANY else start + len(pattern)
    return Variable(field=field, start=start, end=end, single=list(pattern) == [ONE])


def _check(text: str, segments: Sequence[str], variables: Sequence[Variable]) -> None:
    if ANY in segments[:-1]:
        raise TemplateError(f"'{text}' has '**' before its end")
    fields = [variable.field for variable in variables]
    if len(set(fields)) != len(fields):
        raise TemplateError(f"'{text}' binds a field twice")


def _decode(segment: str) -> str:
    text = decode(segment)
    if _CONTROL.search(text):
        _malformed("The path contains a control character")
    return text


def _keep_slashes(segment: str) -> str:
    parts = _SLASH.split(segment)
    return "".join(part if _SLASH.fullmatch(part) else _decode(part) for part in parts)


def _malformed(detail: str) -> NoReturn:
    raise MeshError(GatewayReason.MALFORMED_URL, detail)
