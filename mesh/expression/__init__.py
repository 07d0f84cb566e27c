"""`engine.expr.v1`: the one expression language, a subset of CEL typed against a catalogue.

    catalogue = Catalogue.of(amount_fen=INT, channel=STRING)
    large = expression.compile(expression.parse("amount_fen >= 5000000"), catalogue)
    large.evaluate({"amount_fen": 6_000_000})  # True

Texts become trees (`parse`) and back (`unparse`), trees become messages
(`to_proto`) and back (`from_proto`). Grammar and meaning: docs/expressions.md.
"""

from mesh.expression._catalogue import Catalogue, Field
from mesh.expression._checker import check
from mesh.expression._compiled import Compiled, compile  # noqa: A004 - see there
from mesh.expression._errors import EvaluationError, ExpressionError, Fault
from mesh.expression._explanation import Condition, Explanation, Input
from mesh.expression._grammar import MAX_TEXT
from mesh.expression._parser import parse
from mesh.expression._printer import unparse
from mesh.expression._tree import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_OPTIONS,
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
    conjuncts,
)
from mesh.expression._types import (
    BOOL,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    FieldType,
    Row,
    Value,
)
from mesh.expression._wire import from_proto, to_proto

__all__ = [
    "BOOL",
    "DURATION",
    "INT",
    "MAX_DEPTH",
    "MAX_NODES",
    "MAX_OPTIONS",
    "MAX_TEXT",
    "STRING",
    "TIMESTAMP",
    "Binary",
    "BinaryOperator",
    "Call",
    "Catalogue",
    "Compiled",
    "Condition",
    "Conditional",
    "EvaluationError",
    "Explanation",
    "Expr",
    "ExpressionError",
    "Fault",
    "Field",
    "FieldType",
    "Function",
    "Input",
    "Literal",
    "Logical",
    "LogicalOperator",
    "Membership",
    "Presence",
    "Reference",
    "Row",
    "Unary",
    "UnaryOperator",
    "Value",
    "check",
    "compile",
    "conjuncts",
    "from_proto",
    "parse",
    "to_proto",
    "unparse",
]
