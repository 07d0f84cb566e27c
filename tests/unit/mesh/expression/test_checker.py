"""What cannot work is refused when it is written."""

from __future__ import annotations

import pytest

from mesh import expression
from mesh.expression import (
    BOOL,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    Catalogue,
    ExpressionError,
    FieldType,
)

CATALOGUE = Catalogue.of(n=INT, s=STRING, b=BOOL, t=TIMESTAMP, d=DURATION)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("n + n * 2 - -n", INT),
        ("t - t", DURATION),
        ("d + t", TIMESTAMP),
        ("t - d", TIMESTAMP),
        ("-d + d", DURATION),
        ("max(t, t, t)", TIMESTAMP),
        ("min(d, duration('1s'))", DURATION),
        ("b == true && s < 'x'", BOOL),
        ("b ? s : 'x'", STRING),
        ("t in [timestamp('2026-01-01T00:00:00Z')]", BOOL),
        ("s.size() + size(s) + abs(n)", INT),
    ],
)
def test_an_expression_has_the_type_of_its_operation(text: str, type_: FieldType) -> None:
    """It passes for that type and for no other."""
    tree = expression.parse(text)
    expression.check(tree, CATALOGUE, type_)
    for other in set(FieldType) - {type_}:
        with pytest.raises(ExpressionError):
            expression.check(tree, CATALOGUE, other)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("n == s", 3),
        ("b < b", 1),
        ("s + s == s", 3),
        ("t + t == t", 3),
        ("d - t == d", 3),
        ("d * 2 == d", 3),
        ("-s == s", 2),
        ("!n", 2),
        ("b && n", 6),
        ("n in [1, 'x']", 10),
        ("max(n) > 1", 1),
        ("max(s, s) == s", 5),
        ("max(n, t) == n", 8),
        ("abs(n, n) > 1", 1),
        ("s.startsWith('a', 'b')", 3),
        ("s.contains(n)", 12),
        ("n ? b : b", 1),
        ("b ? n : s", 9),
        ("has(m)", 1),
        ("n + 1", 3),
    ],
)
def test_a_wrong_operand_is_refused_where_it_stands(text: str, position: int) -> None:
    """`position` is that of the operand, or of the operator between two."""
    with pytest.raises(ExpressionError) as refused:
        expression.check(expression.parse(text), CATALOGUE)
    assert refused.value.position == position


def test_an_unknown_field_is_answered_with_the_nearest_one() -> None:
    """The name that was typed is not repeated."""
    catalogue = Catalogue.of(amount_fen=INT, amount_count=INT, channel=STRING)
    with pytest.raises(ExpressionError) as refused:
        expression.check(expression.parse("amounts_fen > 1"), catalogue)
    assert refused.value.hint == "amount_fen"
    assert "amounts" not in str(refused.value)


def test_a_large_catalogue_is_not_listed_in_an_error() -> None:
    """The hint is enough."""
    catalogue = Catalogue.of(**{f"feature_{number}": INT for number in range(100)})
    with pytest.raises(ExpressionError) as refused:
        expression.check(expression.parse("featur_7 > 1"), catalogue)
    assert str(refused.value) == (
        "at character 1: expected a field of the catalogue; did you mean feature_7?"
    )
