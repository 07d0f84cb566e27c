"""Messages that no text could give are no expressions."""

from __future__ import annotations

from collections.abc import Callable

import protovalidate
import pytest

from engine.expr.v1 import expr_pb2
from mesh import expression
from mesh.expression import Catalogue, ExpressionError, FieldType

TEXT = (
    "(a > -1 || !b) && c in ['x', 'y'] && max(d, 2) == (has(e) ? 1 : 2)"
    " && f < timestamp('2026-01-01T00:00:00.000001Z') && g == duration('-1h1us')"
)


def broken(change: Callable[[expr_pb2.Expr], object], text: str = "a > 1") -> expr_pb2.Expr:
    message = expression.to_proto(expression.parse(text))
    change(message)
    return message


def deep(levels: int) -> expr_pb2.Expr:
    message = expr_pb2.Expr(reference=expr_pb2.Reference(name="a"))
    for _ in range(levels - 1):
        unary = expr_pb2.Unary(operator=expr_pb2.UNARY_OPERATOR_NOT, operand=message)
        message = expr_pb2.Expr(unary=unary)
    return message


def wide(operands: int, name: str) -> expr_pb2.Expr:
    part = expr_pb2.Expr(reference=expr_pb2.Reference(name=name))
    joint = expr_pb2.LOGICAL_OPERATOR_AND
    return expr_pb2.Expr(logical=expr_pb2.Logical(operator=joint, operands=[part] * operands))


def test_an_expression_survives_serialization() -> None:
    """Every kind of node, with its position, and by the contract's own rules."""
    tree = expression.parse(TEXT)
    message = expr_pb2.Expr.FromString(expression.to_proto(tree).SerializeToString())
    protovalidate.validate(message)
    read = expression.from_proto(message)
    assert read == tree
    assert expression.to_proto(read) == message


def test_the_deepest_expression_survives_serialization() -> None:
    """The runtime's own bound on nested messages is wider than ours."""
    message = expr_pb2.Expr.FromString(deep(32).SerializeToString())
    assert expression.to_proto(expression.from_proto(message)) == message


def test_the_contract_names_every_type() -> None:
    """And no other."""
    names = [name.removeprefix("FIELD_TYPE_") for name in expr_pb2.FieldType.keys()]  # noqa: SIM118 - no mapping
    assert names == ["UNSPECIFIED", *(type_.name for type_ in FieldType)]


@pytest.mark.parametrize(
    "message",
    [
        expr_pb2.Expr(),
        broken(lambda m: m.binary.ClearField("operator")),
        broken(lambda m: setattr(m.binary, "operator", 99)),
        broken(lambda m: m.binary.ClearField("right")),
        broken(lambda m: m.binary.right.literal.ClearField("int_value")),
        broken(lambda m: setattr(m.binary.left.reference, "name", "a || true")),
        broken(lambda m: setattr(m.binary.left.reference, "name", "true")),
        broken(lambda m: setattr(m.binary.left.reference, "name", "")),
        broken(lambda m: m.logical.operands.pop(), "a && b"),
        broken(lambda m: m.membership.ClearField("options"), "a in [1]"),
        broken(lambda m: m.call.ClearField("arguments"), "size(a)"),
        broken(lambda m: m.literal.timestamp_value.FromNanoseconds(1), "true"),
        broken(lambda m: setattr(m.literal.timestamp_value, "seconds", 2**60), "true"),
        broken(lambda m: setattr(m.literal.duration_value, "seconds", 2**60), "true"),
        deep(33),
        wide(501, "a"),
        wide(499, "a_rather_long_name"),
    ],
)
def test_a_message_that_no_text_could_give_is_refused(message: expr_pb2.Expr) -> None:
    """Nothing else is raised, and no name becomes a piece of text."""
    with pytest.raises(ExpressionError):
        expression.from_proto(message)


def test_a_message_is_checked_like_a_text() -> None:
    """Positions in its errors are those that it states."""
    tree = expression.from_proto(expression.to_proto(expression.parse("true &&   nothing")))
    with pytest.raises(ExpressionError) as refused:
        expression.check(tree, Catalogue.of())
    assert refused.value.position == 11
