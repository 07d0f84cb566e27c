"""Whether a contract still serves the callers of the one before it, over REST, JSON and wire.

Only what callers can reach counts: methods that are served and not internal,
and the types that lead on from them. Services, methods, bindings, fields and
enum values may be added, and a field may go when its number and its name are
reserved.

Rights, time-outs and validation rules are no part of it. A right that was
tightened must hold at once: to keep the contract before it would keep the
door open that was just closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.rules import RuleError, bind, rules
from mesh import contract
from mesh.contract import ContractError, Method
from mesh.reflection import Contract

_FIELDS = descriptor_pb2.FieldDescriptorProto
_TYPES: Final[Mapping[int, str]] = {
    number: name.removeprefix("TYPE_").lower() for name, number in _FIELDS.Type.items()
}

_Route = tuple[str, tuple[str, ...], str, tuple[tuple[str, int, int | None], ...], str, str]


def breaks(old: Contract, new: Contract) -> tuple[str, ...]:
    """What in `new` breaks callers of `old`: sentences with full names; none when nothing does.

    Raises:
        TypeError: the files of one of them do not fit together.
    """
    return tuple(_services(old, new))


def _services(old: Contract, new: Contract) -> Iterator[str]:
    walk = _Walk(old.pool, new.pool)
    for name in old.services:
        before = old.pool.FindServiceByName(name)
        served = [method for method in map(_served, before.methods) if method is not None]
        if served and name not in new.services:
            yield f"service {name} is removed"
        elif served:
            after = new.pool.FindServiceByName(name)
            for method in served:
                yield from _method(method, after, walk)
    yield from walk.findings()


def _served(descriptor: MethodDescriptor) -> Method | None:
    """The method, when callers from outside can reach it."""
    try:
        method = contract.method(descriptor)
    except ContractError:
        return None
    return None if method.policy.internal else method


def _method(old: Method, service: ServiceDescriptor, walk: _Walk) -> Iterator[str]:
    name = f"method {old.service}.{old.name}"
    descriptor = service.methods_by_name.get(old.name)
    if descriptor is None:
        yield f"{name} is removed"
        return
    new = _served(descriptor)
    if new is None:
        yield f"{name} is not served to the outside any more"
        return
    changes = list(_changes(old, new))
    if changes:  # what its bindings lose follows from them
        yield from (f"{name} {change}" for change in changes)
        return
    walk.reach(old.input.full_name)
    walk.reach(old.output.full_name)
    kept = _routes(new)
    for route, label in _routes(old).items():
        if route not in kept:
            yield f"{name} loses or changes its binding {label}"


def _changes(old: Method, new: Method) -> Iterator[str]:
    if (old.client_streaming, old.server_streaming) != (new.client_streaming, new.server_streaming):
        yield "streams otherwise than before"
    if old.input.full_name != new.input.full_name:
        yield f"takes {new.input.full_name} instead of {old.input.full_name}"
    if old.output.full_name != new.output.full_name:
        yield f"returns {new.output.full_name} instead of {old.output.full_name}"


def _routes(method: Method) -> Mapping[_Route, str]:
    """What is served over REST of a method: the labels of its routes by what they consist of."""
    found: dict[_Route, str] = {}
    if method.client_streaming or method.server_streaming:
        return found
    for rule in rules(method):
        try:
            binding = bind(method, rule)
        except RuleError:
            continue  # it is not served, so nobody calls it
        template = binding.template
        names = (parameter.name for parameter in binding.variables)
        ends = ((variable.start, variable.end) for variable in template.variables)
        variables = tuple((n, *end) for n, end in zip(names, ends, strict=True))
        bodies = (binding.body, binding.response_body)
        route = (binding.http_method, template.segments, template.verb, variables, *bodies)
        found[route] = binding.label
    return found


@dataclass(slots=True)
class _Walk:
    """The messages and enums that callers reach, each compared once, in the order of reaching."""

    old: DescriptorPool
    new: DescriptorPool
    messages: list[str] = field(default_factory=list)
    enums: dict[str, None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def reach(self, message: str) -> None:
        """Compare this message, too; both pools have it."""
        if message not in self.seen:
            self.seen.add(message)
            self.messages.append(message)

    def findings(self) -> Iterator[str]:
        """What breaks in all that is reached."""
        for name in self.messages:  # grows meanwhile, by what the messages lead on to
            before, after = (pool.FindMessageTypeByName(name) for pool in (self.old, self.new))
            yield from self._message(before, after)
        for name in self.enums:
            yield from _enum(self.old.FindEnumTypeByName(name), self.new.FindEnumTypeByName(name))

    def _message(self, old: Descriptor, new: Descriptor) -> Iterator[str]:
        before, after = _form(old), _form(new)
        for found in old.fields:
            now = new.fields_by_number.get(found.number)
            if now is None:
                yield from _removed(found, new, after)
            elif now.name != found.name:
                yield (
                    f"field {found.full_name} is lost: its number {found.number} "
                    f"is now that of {now.full_name}"
                )
            else:
                yield from self._field(found, now, _oneofs(before), _oneofs(after))
        for added in new.fields:
            if added.number not in old.fields_by_number:
                yield from _added(added, before)

    def _field(
        self,
        old: FieldDescriptor,
        new: FieldDescriptor,
        oneofs_before: Mapping[str, str],
        oneofs_after: Mapping[str, str],
    ) -> Iterator[str]:
        name = f"field {old.full_name}"
        if old.json_name != new.json_name:
            yield f"{name} is called {new.json_name} in JSON instead of {old.json_name}"
        if (before := _cardinality(old)) != (after := _cardinality(new)):
            yield f"{name} is {after} instead of {before}"
        was, now = oneofs_before.get(old.name), oneofs_after.get(new.name)
        if was != now:
            yield f"{name} moves from {_place(was)} to {_place(now)}"
        elif old.has_presence != new.has_presence and before == after:
            yield f"{name} {'gains' if new.has_presence else 'loses'} presence (optional)"
        if (kind := _type(old)) != _type(new):
            yield f"{name} has type {_type(new)} instead of {kind}"
        elif old.message_type is not None:
            self.reach(old.message_type.full_name)
        elif old.enum_type is not None:
            self.enums.setdefault(old.enum_type.full_name)


def _removed(
    old: FieldDescriptor, new: Descriptor, after: descriptor_pb2.DescriptorProto
) -> Iterator[str]:
    name = f"field {old.full_name}"
    moved = new.fields_by_name.get(old.name)
    if moved is not None:
        yield f"{name} has number {moved.number} instead of {old.number}"
        return
    missing = []
    if not _reserves(after, old.number):
        missing.append(f"number {old.number}")
    if old.name not in after.reserved_name:
        missing.append(f"name '{old.name}'")
    if missing:
        yield f"{name} is removed and its {' and its '.join(missing)} not reserved"


def _added(new: FieldDescriptor, before: descriptor_pb2.DescriptorProto) -> Iterator[str]:
    name = f"field {new.full_name}"
    if new.is_required:
        yield f"{name} is added and required"
    if _reserves(before, new.number):
        yield f"{name} takes number {new.number}, which was reserved"
    if new.name in before.reserved_name:
        yield f"{name} takes a name that was reserved"


def _enum(old: EnumDescriptor, new: EnumDescriptor) -> Iterator[str]:
    for name, value in old.values_by_name.items():
        now = new.values_by_name.get(name)
        if now is None:
            yield f"value {name} of enum {old.full_name} is removed"
        elif now.number != value.number:
            yield (
                f"value {name} of enum {old.full_name} has number {now.number} "
                f"instead of {value.number}"
            )


def _form(message: Descriptor) -> descriptor_pb2.DescriptorProto:
    """What the descriptor alone does not tell: reserved numbers and names, real oneofs."""
    form = descriptor_pb2.DescriptorProto()
    message.CopyToProto(form)
    return form


def _oneofs(form: descriptor_pb2.DescriptorProto) -> Mapping[str, str]:
    """The oneof of each field that is in one; `optional` makes none."""
    return {
        found.name: form.oneof_decl[found.oneof_index].name
        for found in form.field
        if found.HasField("oneof_index") and not found.proto3_optional
    }


def _reserves(form: descriptor_pb2.DescriptorProto, number: int) -> bool:
    return any(reserved.start <= number < reserved.end for reserved in form.reserved_range)


def _cardinality(found: FieldDescriptor) -> str:
    if found.is_repeated:
        return "repeated"
    return "required" if found.is_required else "single"


def _type(found: FieldDescriptor) -> str:
    kind = found.message_type or found.enum_type
    name = _TYPES[found.type]
    return name if kind is None else f"{name} {kind.full_name}"


def _place(oneof: str | None) -> str:
    return f"oneof {oneof}" if oneof else "no oneof"
