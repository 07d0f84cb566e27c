"""Trees become texts: one spelling for each tree, which reads back as the same tree."""

from __future__ import annotations

from mesh.expression._grammar import BINARY_LEVELS, FUNCTIONS, LOGICAL_LEVELS, Level
from mesh.expression._literals import print_value
from mesh.expression._tree import (
    Binary,
    Call,
    Conditional,
    Expr,
    Literal,
    Logical,
    Membership,
    Presence,
    Reference,
    Unary,
    UnaryOperator,
)
from mesh.expression._types import INT


def unparse(expr: Expr) -> str:
    """The text of a tree, with the parentheses it needs and no others."""
    return _at(expr, Level.CONDITIONAL)


def _at(expr: Expr, level: Level) -> str:
    """The text of an operand, in parentheses where it binds less tightly than `level`."""
    own, text = _spelled(expr)
    return text if own >= level else f"({text})"


def _spelled(  # noqa: PLR0911 - a case for each kind of node
    expr: Expr,
) -> tuple[Level, str]:
    """How tightly a node binds, and its text."""
    match expr:
        case Literal(type=type_, value=value):
            own = Level.UNARY if type_ is INT else Level.PRIMARY
            return own, print_value(value, type_)
        case Reference(name=name):
            return Level.PRIMARY, name
        case Presence(name=name):
            return Level.PRIMARY, f"has({name})"
        case Unary():
            return Level.UNARY, _unary(expr)
        case Binary(operator=operator, left=left, right=right):
            own = BINARY_LEVELS[operator]
            before = own.tighter if own is Level.RELATION else own
            return own, f"{_at(left, before)} {operator.value} {_at(right, own.tighter)}"
        case Logical(operator=joint, operands=operands):
            own = LOGICAL_LEVELS[joint]
            return own, f" {joint.value} ".join(_at(part, own.tighter) for part in operands)
        case Membership(element=element, options=options):
            listed = ", ".join(unparse(option) for option in options)
            return Level.RELATION, f"{_at(element, Level.SUM)} in [{listed}]"
        case Call():
            return Level.PRIMARY, _call(expr)
        case Conditional():
            return Level.CONDITIONAL, _conditional(expr)


def _unary(expr: Unary) -> str:
    operand = _at(expr.operand, Level.UNARY)
    if expr.operator is UnaryOperator.NEGATE and operand[0].isdecimal():
        operand = f"({operand})"  # without them the sign would belong to the number
    return expr.operator.value + operand


def _call(expr: Call) -> str:
    first, rest = expr.arguments[0], expr.arguments[1:]
    name = expr.function.value
    if name in FUNCTIONS:
        return f"{name}({', '.join(unparse(argument) for argument in expr.arguments)})"
    return f"{_at(first, Level.PRIMARY)}.{name}({', '.join(unparse(item) for item in rest)})"


def _conditional(expr: Conditional) -> str:
    condition, then = _at(expr.condition, Level.OR), _at(expr.then, Level.OR)
    return f"{condition} ? {then} : {_at(expr.otherwise, Level.CONDITIONAL)}"
