"""Types of expressions over a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mesh.expression._catalogue import Catalogue
from mesh.expression._errors import ExpressionError
from mesh.expression._tree import (
    Binary,
    BinaryOperator,
    Call,
    Conditional,
    Expr,
    Function,
    Literal,
    Logical,
    Membership,
    Presence,
    Reference,
    Unary,
    UnaryOperator,
    enforce_bounds,
)
from mesh.expression._types import (
    BOOL,
    DURATION,
    INT,
    ORDERED,
    STRING,
    TIMESTAMP,
    FieldType,
)

_EQUALITY: Final = frozenset({BinaryOperator.EQUAL, BinaryOperator.NOT_EQUAL})
_ORDER: Final = frozenset(
    {
        BinaryOperator.LESS,
        BinaryOperator.LESS_EQUAL,
        BinaryOperator.GREATER,
        BinaryOperator.GREATER_EQUAL,
    }
)
_TIMES: Final[Mapping[tuple[BinaryOperator, FieldType, FieldType], FieldType]] = {
    (BinaryOperator.ADD, DURATION, DURATION): DURATION,
    (BinaryOperator.ADD, TIMESTAMP, DURATION): TIMESTAMP,
    (BinaryOperator.ADD, DURATION, TIMESTAMP): TIMESTAMP,
    (BinaryOperator.SUBTRACT, DURATION, DURATION): DURATION,
    (BinaryOperator.SUBTRACT, TIMESTAMP, DURATION): TIMESTAMP,
    (BinaryOperator.SUBTRACT, TIMESTAMP, TIMESTAMP): DURATION,
}
"""What arithmetic on times comes to; all other arithmetic is on whole numbers."""

_EXTREMES: Final = frozenset({Function.MAX, Function.MIN})
_COUNTED: Final = frozenset({INT, TIMESTAMP, DURATION})
_SIGNATURES: Final[Mapping[Function, tuple[tuple[FieldType, ...], FieldType]]] = {
    Function.ABS: ((INT,), INT),
    Function.SIZE: ((STRING,), INT),
    Function.STARTS_WITH: ((STRING, STRING), BOOL),
    Function.ENDS_WITH: ((STRING, STRING), BOOL),
    Function.CONTAINS: ((STRING, STRING), BOOL),
}


def check(expr: Expr, catalogue: Catalogue, expected: FieldType = BOOL) -> None:
    """Make sure that an expression has a value of the expected type for every row.

    For a row that keeps to the catalogue, what remains is a missing value, an
    overflow or a division by zero.

    Raises:
        ExpressionError: a field is unknown, an operand has the wrong type, or the tree is
            larger than is worked on.
    """
    enforce_bounds(expr)
    found = type_of(expr, catalogue)
    if found is not expected:
        raise _wanted(expr, expected.value, found)


def type_of(  # noqa: C901, PLR0911 - a case for each kind of node
    expr: Expr, catalogue: Catalogue
) -> FieldType:
    """The type of an expression's value.

    Raises:
        ExpressionError: as `check`.
    """
    match expr:
        case Literal(type=type_):
            return type_
        case Reference(name=name, position=position):
            return catalogue.field(name, position).type
        case Presence(name=name, position=position):
            catalogue.field(name, position)
            return BOOL
        case Unary():
            return _unary(expr, catalogue)
        case Binary():
            return _binary(expr, catalogue)
        case Logical(operands=conditions):
            for condition in conditions:
                _require(condition, BOOL, catalogue)
            return BOOL
        case Membership():
            return _membership(expr, catalogue)
        case Call():
            return _call(expr, catalogue)
        case Conditional():
            return _conditional(expr, catalogue)


def _unary(expr: Unary, catalogue: Catalogue) -> FieldType:
    if expr.operator is UnaryOperator.NOT:
        return _require(expr.operand, BOOL, catalogue)
    found = type_of(expr.operand, catalogue)
    if found not in (INT, DURATION):
        raise _wanted(expr.operand, "int or duration", found)
    return found


def _binary(expr: Binary, catalogue: Catalogue) -> FieldType:
    left, right = type_of(expr.left, catalogue), type_of(expr.right, catalogue)
    if expr.operator in _EQUALITY or expr.operator in _ORDER:
        if left is not right:
            raise _unlike(expr, left, right)
        if expr.operator in _ORDER and left not in ORDERED:
            raise _wanted(expr.left, "what has an order, or == and !=", left)
        return BOOL
    if left is right is INT:
        return INT
    result = _TIMES.get((expr.operator, left, right))
    if result is None:
        raise _unfit(expr, left, right)
    return result


def _membership(expr: Membership, catalogue: Catalogue) -> FieldType:
    wanted = type_of(expr.element, catalogue)
    for option in expr.options:
        _require(option, wanted, catalogue)
    return BOOL


def _call(expr: Call, catalogue: Catalogue) -> FieldType:
    if expr.function in _EXTREMES:
        return _extreme(expr, catalogue)
    parameters, result = _SIGNATURES[expr.function]
    if len(expr.arguments) != len(parameters):
        raise ExpressionError(expr.position, f"{expr.function.value} of {_counted(parameters)}")
    for argument, wanted in zip(expr.arguments, parameters, strict=True):
        _require(argument, wanted, catalogue)
    return result


def _extreme(expr: Call, catalogue: Catalogue) -> FieldType:
    if len(expr.arguments) < 2:
        raise ExpressionError(expr.position, f"{expr.function.value} of two values or more")
    first = type_of(expr.arguments[0], catalogue)
    if first not in _COUNTED:
        raise _wanted(expr.arguments[0], "int, timestamp or duration", first)
    for argument in expr.arguments[1:]:
        _require(argument, first, catalogue)
    return first


def _conditional(expr: Conditional, catalogue: Catalogue) -> FieldType:
    _require(expr.condition, BOOL, catalogue)
    return _require(expr.otherwise, type_of(expr.then, catalogue), catalogue)


def _require(expr: Expr, wanted: FieldType, catalogue: Catalogue) -> FieldType:
    found = type_of(expr, catalogue)
    if found is not wanted:
        raise _wanted(expr, wanted.value, found)
    return found


def _wanted(expr: Expr, wanted: str, found: FieldType) -> ExpressionError:
    return ExpressionError(expr.position, f"{wanted}, found {found.value}")


def _unlike(expr: Binary, left: FieldType, right: FieldType) -> ExpressionError:
    sides = f"found {left.value} and {right.value}"
    return ExpressionError(
        expr.position, f"one type on both sides of {expr.operator.value}, {sides}"
    )


def _unfit(expr: Binary, left: FieldType, right: FieldType) -> ExpressionError:
    sides = f"found {left.value} and {right.value}"
    return ExpressionError(expr.position, f"int on both sides of {expr.operator.value}, {sides}")


def _counted(parameters: tuple[FieldType, ...]) -> str:
    return " and ".join(parameter.value for parameter in parameters)
