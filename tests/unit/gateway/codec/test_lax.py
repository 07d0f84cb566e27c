"""Lax readers: what the contract does not know is left out, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec import JsonCodec, JsonTypes
from gateway.errors import GatewayReason
from mesh.errors import MeshError

Build = Callable[..., Any]
EVERYTHING = "gateway.testing.v1.Everything"


@pytest.fixture(scope="module")
def codec(pool: DescriptorPool) -> JsonCodec:
    descriptor = pool.FindMessageTypeByName(EVERYTHING)
    return JsonCodec(JsonTypes(pool), descriptor, descriptor, lax=True)


@pytest.mark.parametrize(
    "document",
    [
        {"aString": "x", "nothing": {"a": [1, None, {}]}},
        {"aChild": {"aInt32": 7, "nothing": None}, "manyChild": [{}, {"nothing": 1}]},
        {"children": {"a": {"nothing": 1, "aBool": True}}},
        {"aColor": "COLOR_UNHEARD_OF", "aInt32": 7},
        {"manyColor": ["COLOR_RED", "COLOR_UNHEARD_OF", 1, 77]},
        {"byBool": {"true": "COLOR_UNHEARD_OF", "false": "COLOR_RED"}},
        {"anAny": {"@type": f"type.googleapis.com/{EVERYTHING}", "aInt32": 7, "nothing": 1}},
    ],
    ids=str,
)
def test_fields_and_enum_names_that_are_unknown_are_left_out(
    codec: JsonCodec, message: Build, pool: DescriptorPool, document: dict[str, Any]
) -> None:
    """At every depth, in lists and maps, as the reference leaves them out."""
    expected = json_format.ParseDict(
        document, message("Everything"), ignore_unknown_fields=True, descriptor_pool=pool
    )
    assert codec.parse(orjson.dumps(document)) == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"aInt32": 1, "a_int32": 1}', GatewayReason.CONFLICTING_FIELD),
        (b'{"choiceNumber": 1, "choiceText": ""}', GatewayReason.CONFLICTING_FIELD),
        (b'{"nothing": 1, "nothing": 1}', GatewayReason.MALFORMED_JSON),
        (b'{"aInt32": "x"}', GatewayReason.INVALID_FIELD),
        (b'{"aColor": 1.5}', GatewayReason.INVALID_FIELD),
        (b'{"aChild": []}', GatewayReason.INVALID_FIELD),
    ],
)
def test_what_is_known_is_read_as_strictly_as_ever(
    codec: JsonCodec, body: bytes, reason: GatewayReason
) -> None:
    """Lax is about what a newer client may say, not about what is wrong."""
    with pytest.raises(MeshError) as refused:
        codec.parse(body)
    assert refused.value.reason is reason


def test_body_of_one_field_may_be_left_out_whole(pool: DescriptorPool) -> None:
    """When it is the name of an unknown value."""
    descriptor = pool.FindMessageTypeByName(EVERYTHING)
    codec = JsonCodec(JsonTypes(pool), descriptor, descriptor, body="a_color", lax=True)
    assert not codec.parse(b'"COLOR_UNHEARD_OF"').ListFields()
