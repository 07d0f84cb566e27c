"""A request of a method as its contract's HTTP rule writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from mesh.contract import Method

_VARIABLE = re.compile(r"\{([a-z_.]+)(?:=[^}]*)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestRequest:
    """Method, path, query and body; None for no body."""

    verb: str
    path: str
    query: dict[str, list[str]]
    body: Any


def rest_request(method: Method, request: Message) -> RestRequest:
    """The request over REST; the method must have an HTTP rule."""
    assert method.http is not None
    verb = method.http.WhichOneof("pattern")
    assert verb is not None
    values = MessageToDict(request, preserving_proto_field_name=True)
    path = _VARIABLE.sub(lambda found: str(_taken(values, found[1])), getattr(method.http, verb))
    body: Any = None
    if method.http.body == "*":
        body, values = values, {}
    elif method.http.body:
        body = values.pop(method.http.body, {})
    return RestRequest(verb=verb.upper(), path=path, query=_grouped(_query(values)), body=body)


def _taken(values: Any, place: str) -> Any:
    """The value at the place, taken out."""
    *parents, name = place.split(".")
    for parent in parents:
        values = values.get(parent, {})
    return values.pop(name, 0)


def _grouped(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _query(values: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _query(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield from ((f"{prefix}{name}", str(one)) for one in value)
        else:
            yield f"{prefix}{name}", str(value)
