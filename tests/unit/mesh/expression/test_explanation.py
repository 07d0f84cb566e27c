"""Why an expression came to its value."""

from __future__ import annotations

from mesh import expression
from mesh.expression import INT, STRING, TIMESTAMP, Catalogue, Compiled, Fault, FieldType

CATALOGUE = Catalogue.of(amount_fen=INT, mean_fen=INT, kind=STRING, occurred=TIMESTAMP)


def compiled(text: str, type_: FieldType = FieldType.BOOL) -> Compiled:
    return expression.compile(expression.parse(text), CATALOGUE, type_)


def test_each_condition_has_a_line_with_what_it_looked_at() -> None:
    """In the order they are written, those behind the first false one too."""
    found = compiled(
        "amount_fen >= 5000000 && kind in ['SALARY'] && amount_fen > 3 * mean_fen"
        " && occurred > timestamp('2026-01-01T00:00:00Z') && has(mean_fen) && 1 < 2"
    ).explain({"amount_fen": 120_000, "kind": "it's", "occurred": 0})
    assert found.lines() == (
        "amount_fen >= 5000000: 120000 → false",
        r"kind in ['SALARY']: 'it\'s' → false",
        "amount_fen > 3 * mean_fen: amount_fen = 120000, mean_fen = missing → no such value",
        "occurred > timestamp('2026-01-01T00:00:00Z'): timestamp('1970-01-01T00:00:00Z') → false",
        "has(mean_fen): missing → false",
        "1 < 2 → true",
    )


def test_lines_without_values_hold_nothing_of_the_row() -> None:
    """They may be stored where customer data may not."""
    row = {"amount_fen": 120_000, "kind": "SALARY"}
    found = compiled("amount_fen > 5 && kind == 'GIFT'").explain(row)
    assert found.lines(values=False) == ("amount_fen > 5 → true", "kind == 'GIFT' → false")
    number = compiled("amount_fen * 2", INT).explain(row)
    assert number.lines() == ("amount_fen * 2: 120000 → 240000",)
    assert number.lines(values=False) == ("amount_fen * 2 → int",)


def test_the_parts_of_a_condition_are_told_apart() -> None:
    """Down to what is joined by || and &&, and below !."""
    (found,) = (
        compiled("amount_fen > 5 || !(kind == 'A' && mean_fen > 1)")
        .explain({"amount_fen": 1, "kind": "B"})
        .conditions
    )
    first, negated = found.parts
    assert (first.held, negated.held, found.held) == (False, True, True)
    (inner,) = negated.parts
    assert [(part.text, part.held, part.fault) for part in inner.parts] == [
        ("kind == 'A'", False, None),
        ("mean_fen > 1", False, Fault.NO_SUCH_VALUE),
    ]


def test_parenthesised_conjunctions_are_listed_with_the_others() -> None:
    """A condition that was put around another one does not hide its parts."""
    found = compiled("(amount_fen > 5 && kind == 'A') && mean_fen > 1").explain({})
    assert [condition.text for condition in found.conditions] == [
        "amount_fen > 5",
        "kind == 'A'",
        "mean_fen > 1",
    ]


def test_a_value_of_another_type_is_not_shown() -> None:
    """It may be anything."""
    found = compiled("amount_fen > 5").explain({"amount_fen": "13800138000"})
    assert found.lines() == ("amount_fen > 5: wrong type → wrong type",)
