"""The gateway's JSON against `google.protobuf.json_format`, on messages drawn at random."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.codec import JsonCodec, JsonTypes
from tests.conformance.messages import messages
from tests.foreign import described, pool_of

TESTS: Final = Path(__file__).parents[1]
PROTOS: Final = TESTS.parent / "protos"
TYPES: Final = JsonTypes(descriptor_pool.Default())
ODD: Final = pool_of(described(TESTS / "unit" / "gateway", "everything.proto"))
EVERYTHING: Final = ODD.FindMessageTypeByName("gateway.testing.v1.Everything")
drawn = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def contract_messages() -> Iterator[Descriptor]:
    """Every message of every contract that has a JSON form: xDS is binary alone."""
    for path in sorted(set(PROTOS.rglob("*.proto")) - set(PROTOS.rglob("xds/**/*.proto"))):
        name = ".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2"
        yield from importlib.import_module(name).DESCRIPTOR.message_types_by_name.values()


MESSAGES = {descriptor.full_name: descriptor for descriptor in contract_messages()}


def agree(types: JsonTypes, pool: DescriptorPool, descriptor: Descriptor, message: Any) -> None:
    """Hold printing and reading of a message to those of the reference, both ways."""
    codec = JsonCodec(types, descriptor, descriptor)
    build = message_factory.GetMessageClass(descriptor)
    printed = codec.print(message)
    assert json.loads(printed) == json_format.MessageToDict(message, descriptor_pool=pool)
    assert codec.parse(printed) == message
    assert json_format.Parse(printed, build(), descriptor_pool=pool) == message
    original_names = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        descriptor_pool=pool,
    )
    assert codec.parse(original_names.encode()) == message


@pytest.mark.parametrize("descriptor", MESSAGES.values(), ids=MESSAGES)
@drawn
@given(data=st.data())
def test_messages_print_and_read_as_the_reference_does(
    descriptor: Descriptor, data: st.DataObject
) -> None:
    """Same JSON out, same message in, for the messages of all contracts."""
    agree(TYPES, descriptor_pool.Default(), descriptor, data.draw(messages(descriptor)))


@settings(drawn, max_examples=200)
@given(data=st.data())
def test_fields_of_every_kind_print_and_read_as_the_reference_does(data: st.DataObject) -> None:
    """In a message that has them all: the well-known types too, in lists, maps and oneofs."""
    message = data.draw(messages(EVERYTHING, 2))
    agree(JsonTypes(ODD), ODD, EVERYTHING, message)


def test_the_message_of_every_kind_has_every_kind() -> None:
    """Scalars, enums, messages; alone, in lists, as keys and as values."""
    scalars = set(range(1, FieldDescriptor.MAX_TYPE + 1)) - {FieldDescriptor.TYPE_GROUP}
    assert {field.type for field in EVERYTHING.fields} == scalars
    known = {field.message_type.name for field in EVERYTHING.fields if field.message_type}
    assert known >= {"Any", "Duration", "Empty", "FieldMask", "ListValue", "Struct", "Timestamp"}
    assert known >= {"Value", "BoolValue", "BytesValue", "DoubleValue", "Int64Value"}


def test_every_contract_is_covered() -> None:
    """The contracts are found, so that none is passed over in silence."""
    assert {name.split(".")[1] for name in MESSAGES} >= {
        "customer",
        "identity",
        "mesh",
        "sequencer",
    }
