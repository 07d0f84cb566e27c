"""The REST interface as an OpenAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor

from gateway.codec import NoParameter, Parameter, parameter
from gateway.fields import parts
from gateway.raw import is_raw
from gateway.rules import WHOLE, Binding
from gateway.schemas import Schema, Schemas
from gateway.templates import Template

MAX_QUERY_DEPTH: Final = 4
"""Fields within one another that are listed as parameters; deeper ones are taken all the same."""

METHODS: Final = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
"""OpenAPI 3.0 cannot describe others."""

_PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "RFC 9457 problem details; reasons are listed at /docs/errors",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string"},
        "trace_id": {"type": "string"},
        "next_step": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "violations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "description": {"type": "string"}},
            },
        },
    },
}


_RAW: Final[Schema] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
"""The content of a body of any media type."""


def document(bindings: Iterable[Binding], *, version: str) -> bytes:
    """The document, as JSON.

    Args:
        bindings: what is served.
        version: version of the platform.
    """
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    seen: dict[str, int] = {}
    for binding in bindings:
        if binding.http_method not in METHODS:
            continue
        operation = _operation(binding, schemas)
        name = operation["operationId"]
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:  # an additional binding
            operation["operationId"] = f"{name}_{seen[name]}"
        methods = paths.setdefault(_path(binding.template), {})
        methods[binding.http_method.lower()] = operation
    return orjson.dumps(
        {
            "openapi": "3.0.3",
            "info": {"title": "Engine", "version": version},
            "paths": dict(sorted(paths.items())),
            "components": {
                "schemas": {**dict(sorted(schemas.components.items())), "Problem": _PROBLEM},
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _path(template: Template) -> str:
    """The template with each variable, however many segments it spans, as one "{name}"."""
    segments = list(template.segments)
    for variable in reversed(template.variables):
        segments[variable.start : variable.end] = [f"{{{variable.field}}}"]
    verb = f":{template.verb}" if template.verb else ""
    return "/" + "/".join(segments) + verb


def _operation(binding: Binding, schemas: Schemas) -> dict[str, Any]:
    method = binding.method
    service = method.service.rpartition(".")[2]
    operation: dict[str, Any] = {
        "operationId": f"{service}_{method.name}",
        "tags": [service],
        "parameters": [
            *(_path_parameter(p, schemas) for p in binding.variables),
            *(_query_parameter(p, schemas) for p in _query_parameters(binding)),
        ],
        "responses": {
            "200": {"description": "OK", "content": _answer(binding, schemas)},
            "default": {
                "description": "Error",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }
    if binding.body:
        operation["requestBody"] = {"content": _asked(binding, schemas)}
    if not method.policy.anonymous:
        operation["security"] = [{"bearer": []}]
        operation["description"] = f"Needs the permission `{method.policy.permission}`."
    return operation


def _asked(binding: Binding, schemas: Schemas) -> dict[str, Any]:
    if is_raw(binding.request_resource):
        return _RAW
    schema = _part(binding.method.input, binding.body, schemas)
    return {"application/json": {"schema": schema}}


def _answer(binding: Binding, schemas: Schemas) -> dict[str, Any]:
    if is_raw(binding.response_resource):
        return _RAW
    schema = _part(binding.method.output, binding.response_body, schemas)
    return {"application/json": {"schema": schema}}


def _part(message: Descriptor, name: str, schemas: Schemas) -> Schema:
    if name in {"", WHOLE}:
        return schemas.message(message)
    return schemas.field(message.fields_by_name[name])


def _path_parameter(found: Parameter, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.single(found.field)
    return {"name": found.name, "in": "path", "required": True, "schema": schema}


def _query_parameter(found: Parameter, schemas: Schemas) -> dict[str, Any]:
    return {"name": found.name, "in": "query", "schema": schemas.field(found.field)}


def _query_parameters(binding: Binding) -> Iterator[Parameter]:
    if binding.body == WHOLE:
        return
    bound = {variable.path for variable in binding.variables}
    message = binding.method.input
    for name in _leaves(message, MAX_QUERY_DEPTH):
        if name.partition(".")[0] == binding.body:
            continue
        try:
            found = parameter(message, name)
        except NoParameter:
            continue
        if found.path not in bound:
            yield found


def _leaves(message: Descriptor, depth: int) -> Iterator[str]:
    """Dotted names of the fields that are no plain messages."""
    for field in message.fields:
        inner = parts(field)
        if inner is None:
            yield field.name
        elif depth > 1:
            yield from (f"{field.name}.{name}" for name in _leaves(inner, depth - 1))
