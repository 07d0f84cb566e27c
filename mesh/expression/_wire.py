"""Trees as messages of `engine.expr.v1`, and back.

A node and its message have the same fields by the same names; only constants differ.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any, Final

from google.protobuf.message import Message

from engine.expr.v1 import expr_pb2
from mesh.expression._errors import ExpressionError
from mesh.expression._parser import parse
from mesh.expression._printer import unparse
from mesh.expression._tree import (
    MAX_DEPTH,
    Binary,
    BinaryOperator,
    Call,
    Conditional,
    Expr,
    Function,
    Literal,
    Logical,
    LogicalOperator,
    Membership,
    Presence,
    Reference,
    Unary,
    UnaryOperator,
    enforce_bounds,
)
from mesh.expression._types import BOOL, DURATION, INT, STRING, TIMESTAMP, Value, is_value

_NODES: Final = {
    node.__name__.lower(): node
    for node in (Reference, Presence, Unary, Binary, Logical, Membership, Call, Conditional)
}
_ENUMS: Final[dict[str, tuple[str, type[Enum]]]] = {
    "UnaryOperator": ("UNARY_OPERATOR", UnaryOperator),
    "BinaryOperator": ("BINARY_OPERATOR", BinaryOperator),
    "LogicalOperator": ("LOGICAL_OPERATOR", LogicalOperator),
    "Function": ("FUNCTION", Function),
}
_VALUE_FIELDS: Final = {
    INT: "int_value",
    STRING: "string_value",
    BOOL: "bool_value",
    TIMESTAMP: "timestamp_value",
    DURATION: "duration_value",
}
_LEAST: Final = {"operands": 2, "options": 1, "arguments": 1}
"""How many a list of the contract holds at least."""


def to_proto(expr: Expr) -> expr_pb2.Expr:
    """The message of a tree."""
    message = expr_pb2.Expr()
    _write(expr, getattr(message, type(expr).__name__.lower()))
    return message


def _write(expr: Expr, message: Message) -> None:
    if isinstance(expr, Literal):
        _write_literal(expr, message)
        return
    for field in fields(expr):
        value, target = getattr(expr, field.name), message.DESCRIPTOR.fields_by_name[field.name]
        if target.is_repeated:
            for part in value:
                _write_part(part, getattr(message, field.name).add())
        elif target.message_type is not None:
            _write_part(value, getattr(message, field.name))
        else:
            setattr(message, field.name, _number(value, target.enum_type))


def _write_part(part: Expr, message: Message) -> None:
    if isinstance(message, expr_pb2.Expr):
        message.CopyFrom(to_proto(part))
    else:
        _write(part, message)


def _number(value: Any, enum: Any) -> Any:
    """A value as its message holds it: the number of a member, and all else as it is."""
    if enum is None:
        return value
    prefix, _ = _ENUMS[enum.name]
    return enum.values_by_name[f"{prefix}_{value.name}"].number


def _write_literal(literal: Literal, message: Any) -> None:
    message.position = literal.position
    name = _VALUE_FIELDS[literal.type]
    if literal.type in (TIMESTAMP, DURATION):
        getattr(message, name).FromMicroseconds(literal.value)
    else:
        setattr(message, name, literal.value)


def from_proto(message: expr_pb2.Expr) -> Expr:
    """The tree of a message. It may come from anywhere: it must be one that a text can give.

    Raises:
        ExpressionError: it is not, or it is larger than is worked on. The position is
            the one that the message states, or that in the text it would have.
    """
    expr = _read(message, 1)
    enforce_bounds(expr)
    if parse(unparse(expr)) != expr:
        raise ExpressionError(expr.position, "names and values that a text can hold")
    return expr


def _read(message: expr_pb2.Expr, level: int) -> Expr:
    kind = message.WhichOneof("node")
    if kind is None:
        raise ExpressionError(0, "an operand in every place of one")
    node = getattr(message, kind)
    if level > MAX_DEPTH:
        raise ExpressionError(node.position, f"at most {MAX_DEPTH} levels of nesting")
    if isinstance(node, expr_pb2.Literal):
        return _read_literal(node)
    read: dict[str, Any] = {
        field.name: _read_field(node, field, level) for field in node.DESCRIPTOR.fields
    }
    made: Expr = _NODES[kind](**read)
    return made


def _read_field(node: Any, field: Any, level: int) -> Any:
    value = getattr(node, field.name)
    if field.is_repeated:
        if len(value) < _LEAST[field.name]:
            raise ExpressionError(node.position, f"{_LEAST[field.name]} {field.name} or more")
        return tuple(_read_part(part, level) for part in value)
    if field.message_type is not None:
        return _read_part(value, level)
    return value if field.enum_type is None else _member(value, field.enum_type, node.position)


def _read_part(part: expr_pb2.Expr | expr_pb2.Literal, level: int) -> Expr:
    return _read_literal(part) if isinstance(part, expr_pb2.Literal) else _read(part, level + 1)


def _member(number: int, enum: Any, position: int) -> Enum:
    prefix, members = _ENUMS[enum.name]
    known = enum.values_by_number.get(number)
    name = known.name.removeprefix(f"{prefix}_") if known else ""
    if name not in members.__members__:
        raise ExpressionError(position, f"a {enum.name} of the contract")
    return members[name]


def _read_literal(message: expr_pb2.Literal) -> Literal:
    name = message.WhichOneof("value")
    for type_, field in _VALUE_FIELDS.items():
        if field == name:
            value = _value(getattr(message, field))
            if value is not None and is_value(value, type_):
                return Literal(position=message.position, type=type_, value=value)
            raise ExpressionError(message.position, f"a {type_.value} within its bounds")
    raise ExpressionError(message.position, "a value in every constant")


def _value(stated: Any) -> Value | None:
    """The value of a constant; None for a time that is not in whole microseconds."""
    if isinstance(stated, (int, str)):
        return stated
    micros, rest = divmod(stated.seconds * 1_000_000_000 + stated.nanos, 1000)
    return None if rest else micros
