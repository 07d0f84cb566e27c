"""Values of expressions for rows: a tree becomes nested closures once, and they are called often.

A part that has no value raises `EvaluationError`; && and || are settled by any
part that settles them, wherever the error stands, so that a plan which looks at
the parts in another order (or column by column) comes to the same value. Where none
settles them, the error is that of the first part that has one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mesh.expression._catalogue import Catalogue, Field
from mesh.expression._checker import type_of
from mesh.expression._errors import EvaluationError, Fault
from mesh.expression._tree import (
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
)
from mesh.expression._types import BOUNDS, INT, PYTHON_TYPES, Bounds, Row

Evaluate = Callable[[Row], Any]
"""Answers the value for a row, of the expression's type; raises `EvaluationError`."""


def quotient(dividend: int, divisor: int) -> int:
    """Division cut off towards zero, as CEL's; Python's own goes down."""
    whole = abs(dividend) // abs(divisor)
    return whole if (dividend < 0) == (divisor < 0) else -whole


def remainder(dividend: int, divisor: int) -> int:
    """What `quotient` leaves; it has the dividend's sign.

    The least number by -1 overflows, as its quotient does and as CEL says.
    """
    if divisor == -1 and dividend == BOUNDS[INT].least:
        return -dividend
    return dividend - quotient(dividend, divisor) * divisor


_COMPARISONS: Final[Mapping[BinaryOperator, Callable[[Any, Any], bool]]] = {
    BinaryOperator.EQUAL: operator.eq,
    BinaryOperator.NOT_EQUAL: operator.ne,
    BinaryOperator.LESS: operator.lt,
    BinaryOperator.LESS_EQUAL: operator.le,
    BinaryOperator.GREATER: operator.gt,
    BinaryOperator.GREATER_EQUAL: operator.ge,
}
_ARITHMETIC: Final[Mapping[BinaryOperator, Callable[[int, int], int]]] = {
    BinaryOperator.ADD: operator.add,
    BinaryOperator.SUBTRACT: operator.sub,
    BinaryOperator.MULTIPLY: operator.mul,
    BinaryOperator.DIVIDE: quotient,
    BinaryOperator.REMAINDER: remainder,
}
_FUNCTIONS: Final[Mapping[Function, Callable[..., Any]]] = {
    Function.MAX: max,
    Function.MIN: min,
    Function.ABS: abs,
    Function.SIZE: len,
    Function.STARTS_WITH: str.startswith,
    Function.ENDS_WITH: str.endswith,
    Function.CONTAINS: operator.contains,
}


def evaluator(  # noqa: C901, PLR0911 - a case for each kind of node
    expr: Expr, catalogue: Catalogue
) -> Evaluate:
    """What evaluates a checked expression."""

    def of(part: Expr) -> Evaluate:
        return evaluator(part, catalogue)

    match expr:
        case Literal(value=value):
            return lambda _: value
        case Reference(name=name):
            return _load(catalogue.field(name), expr.position)
        case Presence(name=name):
            return lambda row: row.get(name) is not None
        case Unary(operator=UnaryOperator.NOT, operand=operand):
            return _calculate(operator.not_, of(operand))
        case Unary(operand=operand):
            return _bound(_calculate(operator.neg, of(operand)), expr, catalogue)
        case Binary(operator=symbol, left=left, right=right) if symbol in _COMPARISONS:
            return _compare(_COMPARISONS[symbol], of(left), right, of(right))
        case Binary(left=left, right=right):
            compute = _divisible(_ARITHMETIC[expr.operator], expr.position)
            return _bound(_calculate(compute, of(left), of(right)), expr, catalogue)
        case Logical(operands=operands):
            settles = expr.operator is LogicalOperator.OR
            return _settle([of(operand) for operand in operands], settles=settles)
        case Membership(element=element, options=options):
            return _contains(frozenset(option.value for option in options), of(element))
        case Call(function=function, arguments=arguments):
            called = _calculate(_FUNCTIONS[function], *map(of, arguments))
            return _bound(called, expr, catalogue) if function is Function.ABS else called
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return _choose(of(condition), of(then), of(otherwise))


def _load(field: Field, position: int) -> Evaluate:
    name, kind, bounds = field.name, PYTHON_TYPES[field.type], BOUNDS.get(field.type)

    def plain(row: Row) -> Any:
        value = row.get(name)
        if type(value) is kind:
            return value
        raise _unusable(value, name, position)

    return plain if bounds is None else _load_counted(name, bounds, position)


def _load_counted(name: str, bounds: Bounds, position: int) -> Evaluate:
    least, greatest = bounds

    def counted(row: Row) -> int:
        value = row.get(name)
        if type(value) is int and least <= value <= greatest:
            return value
        raise _unusable(value, name, position)

    return counted


def _unusable(value: object, name: str, position: int) -> EvaluationError:
    fault = Fault.NO_SUCH_VALUE if value is None else Fault.WRONG_TYPE
    return EvaluationError(fault, position, name)


def _calculate(compute: Callable[..., Any], *parts: Evaluate) -> Evaluate:
    if len(parts) == 1:
        (only,) = parts
        return lambda row: compute(only(row))
    if len(parts) == 2:
        first, second = parts
        return lambda row: compute(first(row), second(row))
    return lambda row: compute(*[part(row) for part in parts])


def _compare(
    holds: Callable[[Any, Any], bool], left: Evaluate, right: Expr, evaluate_right: Evaluate
) -> Evaluate:
    if isinstance(right, Literal):
        constant = right.value
        return lambda row: holds(left(row), constant)
    return _calculate(holds, left, evaluate_right)


def _divisible(compute: Callable[[int, int], int], position: int) -> Callable[[int, int], int]:
    if compute not in (quotient, remainder):
        return compute

    def divide(dividend: int, divisor: int) -> int:
        if divisor == 0:
            raise EvaluationError(Fault.DIVISION_BY_ZERO, position)
        return compute(dividend, divisor)

    return divide


def _bound(compute: Evaluate, expr: Expr, catalogue: Catalogue) -> Evaluate:
    least, greatest = BOUNDS[type_of(expr, catalogue)]
    position = expr.position

    def bounded(row: Row) -> int:
        value: int = compute(row)
        if least <= value <= greatest:
            return value
        raise EvaluationError(Fault.OVERFLOW, position)

    return bounded


def _settle(parts: Sequence[Evaluate], *, settles: bool) -> Evaluate:
    """False settles &&, true settles ||."""

    def settle(row: Row) -> bool:
        error: EvaluationError | None = None
        for part in parts:
            try:
                value: bool = part(row)
                if value is settles:
                    return value
            except EvaluationError as caught:
                error = error or caught
        if error is not None:
            raise error
        return not settles

    return settle


def _contains(options: frozenset[object], element: Evaluate) -> Evaluate:
    return lambda row: element(row) in options


def _choose(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    return lambda row: then(row) if condition(row) else otherwise(row)
