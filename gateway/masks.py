"""Update masks (AIP-134) for clients that send none: the fields that the body names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor

from gateway.fields import output_only, parts

UPDATE_MASK = "update_mask"
FIELD_MASK = "google.protobuf.FieldMask"


def takes_mask(request: Descriptor) -> bool:
    """Whether the request has an update mask."""
    field = request.fields_by_name.get(UPDATE_MASK)
    return bool(field and field.message_type and field.message_type.full_name == FIELD_MASK)


def paths(
    resource: Descriptor, document: Mapping[str, Any], *, without: Collection[str]
) -> list[str]:
    """The paths of the fields that a JSON object names, in snake_case.

    A field that is null or at its default counts: naming it is how it is
    cleared. Output-only fields do not, for a client may send back what it got.

    Args:
        resource: type of what is changed.
        document: the body, read as a `resource` without complaint before.
        without: paths to leave out.
    """
    return [path for path in _paths(resource, document) if path not in without]


def _paths(descriptor: Descriptor, document: Mapping[str, Any]) -> Iterator[str]:
    fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
    for key, value in document.items():
        field = fields.get(key)
        if field is None or output_only(field):  # a lax route has left out what is unknown
            continue
        inner = parts(field)
        if inner is not None and value:
            yield from (f"{field.name}.{path}" for path in _paths(inner, value))
        else:
            yield field.name
