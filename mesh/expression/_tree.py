"""The syntax tree: what an expression is, apart from how it is written.

A node's `position` takes no part in comparison: two texts that differ in
spaces and needless parentheses have equal trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from mesh.expression._errors import ExpressionError
from mesh.expression._types import FieldType, Value

MAX_DEPTH: Final = 32
MAX_NODES: Final = 500
MAX_OPTIONS: Final = 200
MAX_NAME: Final = 100


class UnaryOperator(Enum):
    """Operators with one operand."""

    NOT = "!"
    NEGATE = "-"


class BinaryOperator(Enum):
    """Operators with two operands, but && and ||."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    REMAINDER = "%"


class LogicalOperator(Enum):
    """How conditions are joined."""

    AND = "&&"
    OR = "||"


class Function(Enum):
    """The functions."""

    MAX = "max"
    MIN = "min"
    ABS = "abs"
    SIZE = "size"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    CONTAINS = "contains"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(_Node):
    """A constant."""

    type: FieldType
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(_Node):
    """The value of a field."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence(_Node):
    """`has(name)`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(_Node):
    """An operator before its operand."""

    operator: UnaryOperator
    operand: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(_Node):
    """An operator between two operands."""

    operator: BinaryOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Logical(_Node):
    """Two or more conditions joined by one operator, as they were written."""

    operator: LogicalOperator
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(_Node):
    """`element in [options]`: one option or more."""

    element: Expr
    options: tuple[Literal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(_Node):
    """A call; what stands before the dot is the first argument. One argument or more."""

    function: Function
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(_Node):
    """`condition ? then : otherwise`."""

    condition: Expr
    then: Expr
    otherwise: Expr


Expr = Literal | Reference | Presence | Unary | Binary | Logical | Membership | Call | Conditional


def operands(  # noqa: PLR0911 - a case for each kind of node
    expr: Expr,
) -> Sequence[Expr]:
    """The nodes right below a node, in the order they are written."""
    match expr:
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Logical(operands=conditions):
            return conditions
        case Membership(element=element):
            return (element,)
        case Call(arguments=arguments):
            return arguments
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case _:
            return ()


def walk(expr: Expr) -> Iterator[tuple[Expr, int]]:
    """Every node and its level, the root's being 1, in the order they are written."""
    waiting = [(expr, 1)]
    while waiting:
        node, level = waiting.pop()
        yield node, level
        waiting.extend((below, level + 1) for below in reversed(operands(node)))


def field_names(expr: Expr) -> tuple[str, ...]:
    """The fields that an expression names, in the order of their first mention."""
    nodes = (node for node, _ in walk(expr))
    return tuple(dict.fromkeys(n.name for n in nodes if isinstance(n, (Reference, Presence))))


def conjuncts(expr: Expr) -> tuple[Expr, ...]:
    """The conditions that must all hold: those joined by && at the top, in order."""
    if isinstance(expr, Logical) and expr.operator is LogicalOperator.AND:
        return tuple(part for operand in expr.operands for part in conjuncts(operand))
    return (expr,)


def enforce_bounds(expr: Expr) -> None:
    """Refuse a tree that is too large to be worked on.

    Raises:
        ExpressionError: it has too many levels, nodes or options.
    """
    for count, (node, level) in enumerate(walk(expr), start=1):
        if level > MAX_DEPTH:
            raise ExpressionError(node.position, f"at most {MAX_DEPTH} levels of nesting")
        if count > MAX_NODES:
            raise ExpressionError(node.position, f"at most {MAX_NODES} operands and operators")
        if isinstance(node, Membership) and len(node.options) > MAX_OPTIONS:
            raise ExpressionError(node.position, f"at most {MAX_OPTIONS} values in a list")
