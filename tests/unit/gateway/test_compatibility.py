"""What of a new contract breaks the callers of the one before it, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.mesh.v1 import policy_pb2
from gateway.compatibility import breaks
from mesh.reflection import Contract

Change = Callable[[FileDescriptorProto], object]
F = FieldDescriptorProto


def add_field(message: DescriptorProto, name: str, number: int, **more: Any) -> None:
    """A string, unless told otherwise."""
    about = {"type": F.TYPE_STRING, "label": F.LABEL_OPTIONAL, **more}
    message.field.add(name=name, number=number, **about)


def add_method(
    file: FileDescriptorProto, name: str, *, get: str = "", service: int = 0, internal: bool = False
) -> None:
    """A method from Asked to Thing."""
    method = file.service[service].method.add(
        name=name, input_type=".t.v1.Asked", output_type=".t.v1.Thing"
    )
    policy = method.options.Extensions[policy_pb2.policy]
    policy.permission, policy.internal = "thing.read", internal
    if get:
        method.options.Extensions[annotations_pb2.http].get = get


def base() -> FileDescriptorProto:
    """ThingService with GetThing and an internal Sweep, and the messages they lead to."""
    file = FileDescriptorProto(name="t.proto", package="t.v1", syntax="proto3")
    asked, thing, part, hidden = (
        file.message_type.add(name=name) for name in ("Asked", "Thing", "Part", "Hidden")
    )
    add_field(asked, "thing_id", 1)
    add_field(thing, "title", 1)
    add_field(thing, "count", 2, type=F.TYPE_INT32)
    add_field(
        thing, "parts", 3, type=F.TYPE_MESSAGE, type_name=".t.v1.Part", label=F.LABEL_REPEATED
    )
    add_field(thing, "kind", 4, type=F.TYPE_ENUM, type_name=".t.v1.Kind")
    thing.oneof_decl.add(name="owner")
    add_field(thing, "person", 5, oneof_index=0)
    add_field(thing, "branch", 6, oneof_index=0)
    entry = thing.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    add_field(entry, "key", 1)
    add_field(entry, "value", 2)
    labels = {"type": F.TYPE_MESSAGE, "type_name": ".t.v1.Thing.LabelsEntry"}
    add_field(thing, "labels", 7, label=F.LABEL_REPEATED, **labels)
    thing.reserved_range.add(start=20, end=22)
    thing.reserved_name.append("gone")
    add_field(part, "name", 1)
    add_field(part, "whole", 2, type=F.TYPE_MESSAGE, type_name=".t.v1.Thing")
    add_field(hidden, "secret", 1)
    kinds = file.enum_type.add(name="Kind")
    kinds.value.add(name="KIND_UNSPECIFIED", number=0)
    kinds.value.add(name="KIND_SMALL", number=1)
    file.service.add(name="ThingService")
    add_method(file, "GetThing", get="/v1/things/{thing_id}")
    add_method(file, "Sweep", internal=True)
    file.service[0].method[1].input_type = ".t.v1.Hidden"
    return file


def contract(file: FileDescriptorProto) -> Contract:
    """As reflection would give it; options are carried as bytes that need no import."""
    services = tuple(sorted(f"t.v1.{service.name}" for service in file.service))
    return Contract(services, {file.name: file.SerializeToString()})


def found(change: Change) -> tuple[str, ...]:
    """What breaks when the file is changed so."""
    file = base()
    change(file)
    return breaks(contract(base()), contract(file))


def message(file: FileDescriptorProto, name: str) -> DescriptorProto:
    return next(m for m in file.message_type if m.name == name)


def thing(file: FileDescriptorProto) -> DescriptorProto:
    return message(file, "Thing")


def remove(file: FileDescriptorProto, index: int, *, number: bool, name: bool) -> None:
    """Take a field out of Thing, with what of it is reserved."""
    field = thing(file).field.pop(index)
    if number:
        thing(file).reserved_range.add(start=field.number, end=field.number + 1)
    if name:
        thing(file).reserved_name.append(field.name)


def set_field(index: int, **values: Any) -> Change:
    def change(file: FileDescriptorProto) -> None:
        for name, value in values.items():
            setattr(thing(file).field[index], name, value)

    return change


def set_rule(**values: str) -> Change:
    def change(file: FileDescriptorProto) -> None:
        rule = file.service[0].method[0].options.Extensions[annotations_pb2.http]
        for name, value in values.items():
            setattr(rule, name, value)

    return change


def set_method(**values: Any) -> Change:
    def change(file: FileDescriptorProto) -> None:
        for name, value in values.items():
            setattr(file.service[0].method[0], name, value)

    return change


def make_internal(file: FileDescriptorProto) -> None:
    file.service[0].method[0].options.Extensions[policy_pb2.policy].internal = True


def make_lawless(file: FileDescriptorProto) -> None:
    file.service[0].method[0].options.ClearExtension(policy_pb2.policy)


def make_optional(file: FileDescriptorProto) -> None:
    thing(file).oneof_decl.add(name="_count")
    set_field(1, oneof_index=1, proto3_optional=True)(file)


def use_number_again(file: FileDescriptorProto) -> None:
    remove(file, 0, number=False, name=True)
    add_field(thing(file), "caption", 1)


def rename_service(file: FileDescriptorProto) -> None:
    file.service[0].name = "OtherService"


def widen_map(file: FileDescriptorProto) -> None:
    thing(file).nested_type[0].field[1].type = F.TYPE_INT64


def break_part(file: FileDescriptorProto) -> None:
    message(file, "Part").field[0].type = F.TYPE_BYTES


METHOD = "method t.v1.ThingService.GetThing"
BREAKING: dict[str, tuple[Change, str]] = {
    "service removed": (rename_service, "service t.v1.ThingService is removed"),
    "method removed": (lambda f: f.service[0].method.pop(0), f"{METHOD} is removed"),
    "method made internal": (make_internal, f"{METHOD} is not served to the outside any more"),
    "method without policy": (make_lawless, f"{METHOD} is not served to the outside any more"),
    "request type": (
        set_method(input_type=".t.v1.Part"),
        f"{METHOD} takes t.v1.Part instead of t.v1.Asked",
    ),
    "response type": (
        set_method(output_type=".t.v1.Part"),
        f"{METHOD} returns t.v1.Part instead of t.v1.Thing",
    ),
    "streaming": (set_method(server_streaming=True), f"{METHOD} streams otherwise than before"),
    "binding moved": (
        set_rule(get="/v1/items/{thing_id}"),
        f"{METHOD} loses or changes its binding GET /v1/things/{{thing_id}}",
    ),
    "binding answers a part": (
        set_rule(response_body="title"),
        f"{METHOD} loses or changes its binding GET /v1/things/{{thing_id}}",
    ),
    "binding spoilt": (
        set_rule(get="/v1/things/{nothing}"),
        f"{METHOD} loses or changes its binding GET /v1/things/{{thing_id}}",
    ),
    "field removed": (
        lambda f: remove(f, 0, number=False, name=False),
        "field t.v1.Thing.title is removed and its number 1 and its name 'title' not reserved",
    ),
    "field removed, name reserved": (
        lambda f: remove(f, 0, number=False, name=True),
        "field t.v1.Thing.title is removed and its number 1 not reserved",
    ),
    "field removed, number reserved": (
        lambda f: remove(f, 0, number=True, name=False),
        "field t.v1.Thing.title is removed and its name 'title' not reserved",
    ),
    "field renamed": (
        set_field(0, name="caption"),
        "field t.v1.Thing.title is lost: its number 1 is now that of t.v1.Thing.caption",
    ),
    "number used again": (
        use_number_again,
        "field t.v1.Thing.title is lost: its number 1 is now that of t.v1.Thing.caption",
    ),
    "field renumbered": (
        set_field(0, number=9),
        "field t.v1.Thing.title has number 9 instead of 1",
    ),
    "field's type": (
        set_field(1, type=F.TYPE_INT64),
        "field t.v1.Thing.count has type int64 instead of int32",
    ),
    "message's type": (
        set_field(2, type_name=".t.v1.Asked"),
        "field t.v1.Thing.parts has type message t.v1.Asked instead of message t.v1.Part",
    ),
    "cardinality": (
        set_field(1, label=F.LABEL_REPEATED),
        "field t.v1.Thing.count is repeated instead of single",
    ),
    "presence": (make_optional, "field t.v1.Thing.count gains presence (optional)"),
    "into a oneof": (
        set_field(1, oneof_index=0),
        "field t.v1.Thing.count moves from no oneof to oneof owner",
    ),
    "out of a oneof": (
        lambda f: thing(f).field[5].ClearField("oneof_index"),
        "field t.v1.Thing.branch moves from oneof owner to no oneof",
    ),
    "json name": (
        set_field(0, json_name="heading"),
        "field t.v1.Thing.title is called heading in JSON instead of title",
    ),
    "enum value removed": (
        lambda f: f.enum_type[0].value.pop(),
        "value KIND_SMALL of enum t.v1.Kind is removed",
    ),
    "enum value renumbered": (
        lambda f: setattr(f.enum_type[0].value[1], "number", 2),
        "value KIND_SMALL of enum t.v1.Kind has number 2 instead of 1",
    ),
    "reserved number taken": (
        lambda f: add_field(thing(f), "fresh", 21),
        "field t.v1.Thing.fresh takes number 21, which was reserved",
    ),
    "reserved name taken": (
        lambda f: add_field(thing(f), "gone", 30),
        "field t.v1.Thing.gone takes a name that was reserved",
    ),
    "map's value": (
        widen_map,
        "field t.v1.Thing.LabelsEntry.value has type int64 instead of string",
    ),
    "nested message": (break_part, "field t.v1.Part.name has type bytes instead of string"),
}


def add_binding(file: FileDescriptorProto) -> None:
    rule = file.service[0].method[0].options.Extensions[annotations_pb2.http]
    rule.additional_bindings.add(get="/v2/things/{thing_id}")


def tighten(file: FileDescriptorProto) -> None:
    file.service[0].method[0].options.Extensions[policy_pb2.policy].permission = "thing.admin"


def add_service(file: FileDescriptorProto) -> None:
    file.service.add(name="MoreService")
    add_method(file, "GetMore", get="/v1/more", service=1)


COMPATIBLE: dict[str, Change] = {
    "nothing": lambda _: None,
    "field added": lambda f: add_field(thing(f), "fresh", 30),
    "member of a oneof added": lambda f: add_field(thing(f), "team", 31, oneof_index=0),
    "message added": lambda f: f.message_type.add(name="Fresh"),
    "enum value added": lambda f: f.enum_type[0].value.add(name="KIND_LARGE", number=2),
    "method added": lambda f: add_method(f, "FindThing", get="/v1/things:find"),
    "service added": add_service,
    "binding added": add_binding,
    "same binding, written otherwise": set_rule(get="/v1/things/{thing_id=*}"),
    "field removed and reserved": lambda f: remove(f, 0, number=True, name=True),
    "permission changed": tighten,
    "internal method removed": lambda f: f.service[0].method.pop(1),
    "message of an internal method": lambda f: message(f, "Hidden").field.pop(),
    "order of declarations": lambda f: f.message_type.sort(key=lambda m: m.name),
}


@pytest.mark.parametrize(("change", "finding"), BREAKING.values(), ids=BREAKING)
def test_what_breaks_callers_is_found_and_named(change: Change, finding: str) -> None:
    """One sentence with the full name of what broke."""
    assert found(change) == (finding,)


@pytest.mark.parametrize("change", COMPATIBLE.values(), ids=COMPATIBLE)
def test_what_leaves_callers_alone_is_no_finding(change: Change) -> None:
    """Additions, reserved removals, rights, and all that nobody reaches."""
    assert found(change) == ()


def test_a_type_that_refers_to_itself_is_compared_once() -> None:
    """Thing has parts, and a part its whole."""
    assert len(found(break_part)) == 1


COMPATIBLE_STEPS = (
    "field",
    "member",
    "method",
    "binding",
    "value",
    "message",
    "service",
    "reserve",
)


def evolve(file: FileDescriptorProto, step: str, nth: int) -> None:
    """One more compatible change; `nth` makes its names new."""
    if step == "field":
        add_field(file.message_type[nth % 3], f"field{nth}", 100 + nth)
    elif step == "member":
        add_field(thing(file), f"member{nth}", 100 + nth, oneof_index=0)
    elif step == "method":
        add_method(file, f"Method{nth}", get=f"/v1/method{nth}")
    elif step == "binding":
        rule = file.service[0].method[0].options.Extensions[annotations_pb2.http]
        rule.additional_bindings.add(get=f"/v{nth + 2}/things/{{thing_id}}")
    elif step == "value":
        file.enum_type[0].value.add(name=f"KIND_{nth}", number=100 + nth)
    elif step == "message":
        add_field(file.message_type.add(name=f"Message{nth}"), "name", 1)
    elif step == "service":
        file.service.add(name=f"Service{nth}")
        add_method(file, f"Get{nth}", service=len(file.service) - 1)
    else:
        removable = [i for i, f in enumerate(thing(file).field) if f.name.startswith("field")]
        if removable:
            remove(file, removable[0], number=True, name=True)


STEPS = st.lists(st.sampled_from(COMPATIBLE_STEPS), max_size=12)


@given(STEPS, STEPS)
@settings(max_examples=100, deadline=None)
def test_compatible_steps_are_never_called_breaking(before: list[str], after: list[str]) -> None:
    """However many follow one another, from whatever contract they start."""
    file = base()
    for nth, step in enumerate(before):
        evolve(file, step, nth)
    old = contract(file)
    for nth, step in enumerate(after, start=len(before)):
        evolve(file, step, nth)
    assert breaks(old, contract(file)) == ()


@given(STEPS, st.sampled_from(sorted(BREAKING)))
@settings(max_examples=150, deadline=None)
def test_a_breaking_change_is_found_among_compatible_ones(steps: list[str], which: str) -> None:
    """Whatever else the new contract brings."""
    change, finding = BREAKING[which]
    file = base()
    change(file)
    for nth, step in enumerate(steps):
        if which != "binding spoilt" or step != "binding":
            evolve(file, step, nth)
    assert finding in breaks(contract(base()), contract(file))
