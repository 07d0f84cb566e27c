"""Values and errors at the edges, which random trees seldom reach."""

from __future__ import annotations

from enum import IntEnum

import pytest

from mesh import expression
from mesh.expression import (
    BOOL,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    Catalogue,
    EvaluationError,
    Fault,
    FieldType,
)

LEAST, GREATEST = -(2**63), 2**63 - 1
CATALOGUE = Catalogue.of(n=INT, m=INT, s=STRING, b=BOOL, t=TIMESTAMP, d=DURATION)


class Tier(IntEnum):
    """An enum that counts as a number elsewhere."""

    AUM5 = 5


def value(text: str, type_: FieldType = INT, /, **row: object) -> object:
    return expression.compile(expression.parse(text), CATALOGUE, type_).evaluate(row)


def error(text: str, type_: FieldType = INT, /, **row: object) -> EvaluationError:
    with pytest.raises(EvaluationError) as raised:
        value(text, type_, **row)
    return raised.value


@pytest.mark.parametrize(
    ("n", "m", "quotient", "remainder"),
    [(7, 2, 3, 1), (-7, 2, -3, -1), (7, -2, -3, 1), (-7, -2, 3, -1), (LEAST, 1, LEAST, 0)],
)
def test_division_is_cut_off_towards_zero(n: int, m: int, quotient: int, remainder: int) -> None:
    """As CEL, C and SQL divide, and unlike Python."""
    assert value("n / m", n=n, m=m) == quotient
    assert value("n % m", n=n, m=m) == remainder


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("n + 1", {"n": GREATEST}),
        ("n - 1", {"n": LEAST}),
        ("n * n", {"n": 2**32}),
        ("-n", {"n": LEAST}),
        ("abs(n)", {"n": LEAST}),
        ("n / m", {"n": LEAST, "m": -1}),
        ("n % m", {"n": LEAST, "m": -1}),
    ],
)
def test_a_result_beyond_64_bits_is_an_error(text: str, row: dict[str, object]) -> None:
    """It never wraps around."""
    assert error(text, **row).fault is Fault.OVERFLOW


def test_times_have_bounds_of_their_own() -> None:
    """The year 9999 ends, and a duration has at most 10,000 years."""
    assert error("t + d", TIMESTAMP, t=253_402_300_799_999_999, d=1).fault is Fault.OVERFLOW
    assert error("d + d", DURATION, d=315_576_000_000_000_000).fault is Fault.OVERFLOW


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("n == 1", {"n": True}),
        ("n == 1", {"n": 1.0}),
        ("n == 5", {"n": Tier.AUM5}),
        ("n == 1", {"n": "1"}),
        ("n > 1", {"n": 2**63}),
        ("s == 'a'", {"s": b"a"}),
        ("b", {"b": 1}),
        ("t > t", {"t": 253_402_300_800_000_000}),
    ],
)
def test_a_value_of_another_type_is_an_error(text: str, row: dict[str, object]) -> None:
    """Not a silent false: a row that breaks the catalogue must be seen."""
    assert error(text, BOOL, **row).fault is Fault.WRONG_TYPE


@pytest.mark.parametrize(
    ("operator", "below", "same", "above"),
    [
        ("==", False, True, False),
        ("!=", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_a_comparison_holds_on_its_side_of_the_bound(
    operator: str, below: bool, same: bool, above: bool
) -> None:
    """At the bound itself too, with a constant or a field behind the operator."""
    for text in (f"n {operator} 5", f"n {operator} m"):
        found = [value(text, BOOL, n=number, m=5) for number in (4, 5, 6)]
        assert found == [below, same, above]


def test_strings_are_ordered_by_code_point() -> None:
    """Not by locale, and not by UTF-16 units."""
    assert value("s < '\uffff'", BOOL, s="Z") is True
    assert value("s < '\uffff'", BOOL, s="\U00010000") is False
    assert value("s < 'a'", BOOL, s="Z") is True


def test_none_is_missing() -> None:
    """An absent key and None are one thing."""
    assert value("has(n)", BOOL) is False
    assert value("has(n)", BOOL, n=None) is False
    assert value("has(n)", BOOL, n=0) is True
    assert error("n", n=None).fault is Fault.NO_SUCH_VALUE


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("n > 1 && false", False),
        ("false && n > 1", False),
        ("n > 1 || true", True),
        ("true || n > 1", True),
        ("n > 1 && m / 0 > 1 && false", False),
        ("(n > 1 || true) && !(m > 1 && false)", True),
    ],
)
def test_an_operand_that_settles_absorbs_errors_on_either_side(text: str, settled: bool) -> None:
    """As in CEL: the order of evaluation cannot change an answer."""
    assert value(text, BOOL) is settled


def test_an_unsettled_error_is_that_of_the_first_operand() -> None:
    """With its position and field, and no value of the row."""
    found = error("true && 1 / 0 == 1 && n > 1", BOOL)
    assert (found.fault, found.position) == (Fault.DIVISION_BY_ZERO, 11)
    missing = error("n > 1 || 1 / 0 == 1", BOOL)
    assert (missing.fault, missing.position, missing.field) == (Fault.NO_SUCH_VALUE, 1, "n")
    assert str(missing) == "at character 1: no such value of n"


def test_only_the_branch_that_is_taken_is_evaluated() -> None:
    """The other may be in error."""
    assert value("b ? 1 : n / 0", b=True) == 1
    assert error("b ? 1 : 2 / 0", b=False).fault is Fault.DIVISION_BY_ZERO
    assert error("b ? 1 : 2").fault is Fault.NO_SUCH_VALUE
