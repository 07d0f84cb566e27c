"""The gateway's JSON against `google.protobuf.json_format`, on messages of the contracts."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.codec import JsonCodec, JsonTypes

PROTOS = Path(__file__).parents[2] / "protos"
TYPES = JsonTypes(descriptor_pool.Default())
MAX_DEPTH = 3

_SIGNED_32 = st.integers(-(2**31), 2**31 - 1)
_SIGNED_64 = st.integers(-(2**63), 2**63 - 1)
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_INT32: _SIGNED_32,
    FieldDescriptor.TYPE_SINT32: _SIGNED_32,
    FieldDescriptor.TYPE_SFIXED32: _SIGNED_32,
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: _SIGNED_64,
    FieldDescriptor.TYPE_SINT64: _SIGNED_64,
    FieldDescriptor.TYPE_SFIXED64: _SIGNED_64,
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_FLOAT: st.floats(allow_nan=False, width=32),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(max_size=20),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
}


def contract_messages() -> Iterator[Descriptor]:
    """Every message of every contract that has a JSON form: xDS is binary alone."""
    for path in sorted(set(PROTOS.rglob("*.proto")) - set(PROTOS.rglob("xds/**/*.proto"))):
        name = ".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2"
        yield from importlib.import_module(name).DESCRIPTOR.message_types_by_name.values()


MESSAGES = {descriptor.full_name: descriptor for descriptor in contract_messages()}


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, depth - 1)
    if field.enum_type is not None:
        known = st.sampled_from([value.number for value in field.enum_type.values])
        return known | _SIGNED_32
    return _SCALARS[field.type]


def _field(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if not field.is_repeated:
        return _value(field, depth)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return st.dictionaries(
            _value(entry["key"], depth), _value(entry["value"], depth), max_size=3
        )
    return st.lists(_value(field, depth), max_size=3)


@cache
def messages(descriptor: Descriptor, depth: int = MAX_DEPTH) -> st.SearchStrategy[Any]:
    """Messages of a type, with any of their fields."""
    build = message_factory.GetMessageClass(descriptor)
    if descriptor.full_name == "google.protobuf.Timestamp":
        seconds = st.integers(-62_135_596_800, 253_402_300_799)
        return st.builds(build, seconds=seconds, nanos=st.integers(0, 999_999_999))
    if descriptor.full_name == "google.protobuf.Duration":
        return st.builds(build, seconds=st.integers(0, 10**9), nanos=st.integers(0, 999_999_999))
    if descriptor.full_name == "google.protobuf.FieldMask":
        paths = st.lists(st.from_regex(r"[a-z]{1,5}(_[a-z]{1,5}){0,2}", fullmatch=True), max_size=3)
        return st.builds(build, paths=paths)
    fields = [f for f in descriptor.fields if depth or f.message_type is None]
    return st.fixed_dictionaries({}, optional={f.name: _field(f, depth) for f in fields}).map(
        lambda values: build(**values)
    )


@pytest.mark.parametrize("descriptor", MESSAGES.values(), ids=MESSAGES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_messages_print_and_read_as_the_reference_does(
    descriptor: Descriptor, data: st.DataObject
) -> None:
    """Same JSON out, same message in, for messages drawn at random."""
    codec = JsonCodec(TYPES, descriptor, descriptor)
    message = data.draw(messages(descriptor))
    printed = codec.print(message)
    assert json.loads(printed) == json_format.MessageToDict(message)
    assert codec.parse(printed) == message
    original_names = json_format.MessageToJson(message, preserving_proto_field_name=True)
    assert codec.parse(original_names.encode()) == message


def test_every_contract_is_covered() -> None:
    """The contracts are found, so that none is passed over in silence."""
    assert {name.split(".")[1] for name in MESSAGES} >= {
        "customer",
        "identity",
        "mesh",
        "sequencer",
    }
