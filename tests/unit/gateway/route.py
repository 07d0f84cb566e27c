"""A route as requests meet it, without a gateway around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.codec import JsonTypes
from gateway.http import Request
from gateway.rules import bind, rules
from gateway.templates import split
from gateway.transcoder import Transcoder
from mesh import contract as contracts
from mesh.errors import MeshError
from mesh.reflection import Contract

THINGS = "ThingService"


class Route:
    """A transcoder and its template: what a request meets."""

    def __init__(
        self,
        contract: Contract,
        types: JsonTypes,
        name: str,
        rule: int = 0,
        *,
        service: str = THINGS,
        lax: bool = False,
    ) -> None:
        found = contract.pool.FindServiceByName(f"gateway.testing.v1.{service}")
        method = contracts.method(found.methods_by_name[name])
        self.binding = replace(bind(method, list(rules(method))[rule]), lax=lax)
        self.transcoder = Transcoder(self.binding, types)

    def request(
        self, path: str, body: bytes | dict[str, Any] = b"", *, query: str = "", **headers: str
    ) -> Any:
        """The request message; header names are written with underscores."""
        if isinstance(body, dict):
            body = orjson.dumps(body)
        if body:
            headers.setdefault("content_type", "application/json")
        http = Request(
            method=self.binding.http_method,
            path=path,
            query=query,
            headers={k.replace("_", "-").encode(): v.encode() for k, v in headers.items()},
            body=body,
        )
        return self.transcoder.request(self.binding.template.bind(split(path)), http)

    def refused(self, path: str, body: bytes | dict[str, Any] = b"", **options: Any) -> MeshError:
        with pytest.raises(MeshError) as caught:
            self.request(path, body, **options)
        return caught.value


GetRoute = Callable[..., Route]
