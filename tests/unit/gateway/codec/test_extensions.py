"""Extensions of proto2 messages, on the options that contracts carry."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec import JsonCodec, JsonTypes
from gateway.errors import GatewayReason
from mesh.errors import MeshError


def codec(pool: DescriptorPool, name: str, *, lax: bool = False) -> JsonCodec:
    options = pool.FindMessageTypeByName(f"google.protobuf.{name}")
    return JsonCodec(JsonTypes(pool), options, options, lax=lax)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MethodOptions", {"[engine.mesh.v1.policy]": {"permission": "x", "cost": 3}}),
        ("MethodOptions", {"deprecated": True, "[google.api.http]": {"get": "/v1/x"}}),
        ("MethodOptions", {"[engine.mesh.v1.policy]": {}}),
        ("FieldOptions", {"[engine.mesh.v1.sensitivity]": "SENSITIVITY_NAME"}),
        ("FieldOptions", {"[google.api.field_behavior]": ["REQUIRED", "IMMUTABLE"]}),
        ("MethodOptions", {"deprecated": True}),
    ],
)
def test_extensions_are_read_and_printed(
    pool: DescriptorPool, name: str, value: dict[str, Any]
) -> None:
    """Under their full name in brackets, whatever kind of field they are."""
    both = codec(pool, name)
    assert orjson.loads(both.print(both.parse(orjson.dumps(value)))) == value


def test_null_is_the_absence_of_an_extension(pool: DescriptorPool) -> None:
    """As it is of a field."""
    both = codec(pool, "MethodOptions")
    assert both.print(both.parse(b'{"[engine.mesh.v1.policy]": null}')) == b"{}"


@pytest.mark.parametrize(
    "key",
    ["[engine.mesh.v1.nothing]", "[engine.mesh.v1.sensitivity]", "[engine.mesh.v1.policy", "["],
)
def test_what_is_no_extension_of_the_message_is_no_field(pool: DescriptorPool, key: str) -> None:
    """Nor is the extension of another message; a lax reader leaves it out."""
    body = orjson.dumps({key: {}, "deprecated": True})
    with pytest.raises(MeshError) as refused:
        codec(pool, "MethodOptions").parse(body)
    assert refused.value.reason is GatewayReason.UNKNOWN_FIELD
    lax = codec(pool, "MethodOptions", lax=True)
    assert lax.print(lax.parse(body)) == b'{"deprecated":true}'


def test_refusals_name_the_extension(pool: DescriptorPool) -> None:
    """With the field within it."""
    body = b'{"[engine.mesh.v1.policy]": {"cost": "many"}}'
    with pytest.raises(MeshError) as refused:
        codec(pool, "MethodOptions").parse(body)
    (violation,) = refused.value.violations
    assert violation.field == "[engine.mesh.v1.policy].cost"
