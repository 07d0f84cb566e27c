"""What is shown of a message by the options of its fields, and how much of it."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from engine.ark.v1 import ark_pb2
from engine.mesh.v1 import policy_pb2
from mesh import context as wire
from mesh.lane import redaction
from mesh.lane.redaction import MAX_DEPTH, MAX_ITEMS, MAX_SHOWN, Redactor, metadata, text
from tests.unit.mesh.lane.tapping import CARD, NAME, PHONE, RECORD

_FIELD = descriptor_pb2.FieldDescriptorProto


def toy(kind: policy_pb2.Sensitivity.ValueType, *, label: int, of: str) -> Any:
    """A message whose field `secret` has a sensitivity: one value, a list or a map."""
    file = descriptor_pb2.FileDescriptorProto(name="toy.proto", package="toy", syntax="proto3")
    file.dependency.append("engine/mesh/v1/policy.proto")
    inner = file.message_type.add(name="Inner")
    inner.field.add(name="name", number=1, type=_FIELD.TYPE_STRING, label=1)
    outer = file.message_type.add(name="Outer")
    entry = outer.nested_type.add(name="MapEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=1)
    entry.field.add(name="value", number=2, type=_FIELD.TYPE_STRING, label=1)
    kinds = {
        "text": (_FIELD.TYPE_STRING, None),
        "number": (_FIELD.TYPE_INT64, None),
        "bytes": (_FIELD.TYPE_BYTES, None),
        "message": (_FIELD.TYPE_MESSAGE, ".toy.Inner"),
        "map": (_FIELD.TYPE_MESSAGE, ".toy.Outer.MapEntry"),
    }
    type_, name = kinds[of]
    secret = outer.field.add(name="secret", number=1, type=type_, type_name=name, label=label)
    if kind:
        secret.options.Extensions[policy_pb2.sensitivity] = kind
    pool = descriptor_pool.DescriptorPool()
    for dependency in (descriptor_pb2.DESCRIPTOR, *policy_pb2.DESCRIPTOR.dependencies):
        pool.AddSerializedFile(dependency.serialized_pb)
    pool.AddSerializedFile(policy_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("toy.Outer"))


@pytest.mark.parametrize(
    ("of", "label", "value"),
    [
        ("text", 1, NAME),
        ("text", 3, [NAME, NAME]),
        ("number", 1, int(PHONE)),
        ("number", 3, [int(PHONE)]),
        ("bytes", 1, NAME.encode()),
        ("message", 1, {"name": NAME}),
        ("message", 3, [{"name": NAME}]),
        ("map", 3, {PHONE: NAME}),
    ],
)
@pytest.mark.parametrize("kind", policy_pb2.Sensitivity.values()[1:])
def test_every_kind_of_field_is_hidden_whatever_its_type(
    kind: policy_pb2.Sensitivity.ValueType, of: str, label: int, value: Any
) -> None:
    """One value, lists, messages and maps with their keys: nothing but the kind is told."""
    message = toy(kind, label=label, of=of)(secret=value)
    name = policy_pb2.Sensitivity.Name(kind).removeprefix("SENSITIVITY_")
    assert json.loads(Redactor().shown(message)) == {"secret": f"*** {name}"}


def test_a_kind_of_a_later_version_is_hidden_too() -> None:
    """A number that we cannot name is personal all the same."""
    message = toy(cast("Any", 77), label=1, of="text")(secret=NAME)
    assert json.loads(Redactor().shown(message)) == {"secret": "*** PERSONAL"}


def test_text_that_states_nothing_is_cut_and_searched_for_numbers() -> None:
    """A phone number hides the whole text, also one that reaches over the cut."""
    assert text("a" * MAX_SHOWN) == "a" * MAX_SHOWN
    assert text("a" * 65) == "a" * MAX_SHOWN + "…"
    assert text(f"call {PHONE}") == "***"
    assert text("a" * (MAX_SHOWN - 8) + f" {CARD}") == "***"
    keyed = toy(policy_pb2.SENSITIVITY_UNSPECIFIED, label=3, of="map")(secret={PHONE: "x"})
    assert json.loads(Redactor().shown(keyed)) == {"secret": {"***": "x"}}


def test_bytes_and_packed_messages_are_told_by_their_size() -> None:
    """They may hold anything: an event, a document."""
    raw = toy(policy_pb2.SENSITIVITY_UNSPECIFIED, label=1, of="bytes")(secret=NAME.encode())
    assert json.loads(Redactor().shown(raw)) == {"secret": "15 bytes"}
    packed = any_pb2.Any()
    packed.Pack(RECORD)
    assert json.loads(Redactor().shown(packed)) == f"{packed.ByteSize()} bytes"


def test_of_metadata_few_values_are_shown() -> None:
    """Purpose, business date and trace; what proves somebody, and all that is unknown, is not."""
    pairs: list[tuple[str, str | bytes]] = [
        (wire.AUTHORIZATION, "Bearer x"),
        (wire.CALLER, "proof"),
        (wire.PURPOSE, "service"),
        (wire.BUSINESS_DATE, b"2026-07-01"),
        (wire.ON_BEHALF_OF, "rm001"),
        (wire.CHAIN, b"\x08\x01"),
        ("x-anything", "hello"),
    ]
    shown = dict(metadata(pairs))
    assert {key for key, value in shown.items() if value != "***"} == {
        wire.PURPOSE,
        wire.BUSINESS_DATE,
    }
    assert shown[wire.BUSINESS_DATE] == "2026-07-01"


def test_of_lists_and_maps_the_first_entries_are_shown() -> None:
    """And how many more there are."""
    many = ark_pb2.QueryRequest(customer_ids=range(100))
    shown = json.loads(Redactor().shown(many))["customerIds"]
    assert shown == [*map(str, range(MAX_ITEMS)), "… 84 more"]
    keyed = toy(policy_pb2.SENSITIVITY_UNSPECIFIED, label=3, of="map")
    told = Redactor().shown(keyed(secret={str(number): "x" for number in range(100)}))
    shown = json.loads(told)["secret"]
    assert len(shown) == MAX_ITEMS + 1
    assert shown["…"] == "84 more"


def test_so_many_values_of_a_message_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """With those of the messages within it; then it is cut."""
    monkeypatch.setattr(redaction, "MAX_VALUES", 6)
    record = ark_pb2.MaskedRecord(customer_id=1, name="王**", cif="****1")
    wide = ark_pb2.QueryResponse(records=[record] * 3)
    assert json.loads(Redactor().shown(wide)) == {
        "records": [
            {"customerId": "1", "name": "王**", "…": "…"},
            {"…": "…"},
            {"…": "…"},
        ]
    }


def test_a_deep_message_is_shown_to_a_depth() -> None:
    """What lies deeper is told by its size."""
    deep = struct_pb2.Value(string_value="deep")
    for _ in range(MAX_DEPTH):
        deep = struct_pb2.Value(list_value=struct_pb2.ListValue(values=[deep]))
    shown = Redactor().shown(deep)
    assert "deep" not in shown
    assert "bytes" in shown
