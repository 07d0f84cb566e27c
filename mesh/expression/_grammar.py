"""What parser and printer must agree on: how tightly operators bind, and reserved words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from mesh.expression._tree import BinaryOperator, Function, LogicalOperator

MAX_TEXT: Final = 4000


class Level(IntEnum):
    """How tightly a construct binds; a looser one within a tighter one needs parentheses."""

    CONDITIONAL = 1
    OR = 2
    AND = 3
    RELATION = 4
    SUM = 5
    PRODUCT = 6
    UNARY = 7
    PRIMARY = 8

    @property
    def tighter(self) -> Level:
        """The next one."""
        return Level(self + 1)


_RELATIONS: Final = ("==", "!=", "<", "<=", ">", ">=")

BINARY_LEVELS: Final[Mapping[BinaryOperator, Level]] = {
    operator: (
        Level.RELATION
        if operator.value in _RELATIONS
        else Level.SUM
        if operator.value in "+-"
        else Level.PRODUCT
    )
    for operator in BinaryOperator
}

LOGICAL_LEVELS: Final[Mapping[LogicalOperator, Level]] = {
    LogicalOperator.AND: Level.AND,
    LogicalOperator.OR: Level.OR,
}

FUNCTIONS: Final[Mapping[str, Function]] = {
    function.value: function
    for function in (Function.MAX, Function.MIN, Function.ABS, Function.SIZE)
}
"""What is written before its arguments."""

METHODS: Final[Mapping[str, Function]] = {
    function.value: function
    for function in (Function.STARTS_WITH, Function.ENDS_WITH, Function.CONTAINS, Function.SIZE)
}
"""What is written after its first argument and a dot."""

RESERVED: Final = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for"),
        *("function", "if", "import", "let", "loop", "package", "namespace", "return", "var"),
        *("void", "while", "has", "timestamp", "duration"),
    }
)
"""Words that name no field: CEL's, and those that look like functions but are syntax here."""
