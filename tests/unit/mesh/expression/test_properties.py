"""What holds of every expression: it reads back, keeps its type, and means what CEL means.

Trees are drawn by type, so that nearly all of them pass the checker; the evaluator is
held against an interpreter that is written for clearness alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from math import trunc
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh import expression
from mesh.expression import (
    BOOL,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    Binary,
    BinaryOperator,
    Call,
    Catalogue,
    Conditional,
    EvaluationError,
    Expr,
    ExpressionError,
    Fault,
    Field,
    FieldType,
    Function,
    Literal,
    Logical,
    LogicalOperator,
    Membership,
    Presence,
    Reference,
    Row,
    Unary,
    UnaryOperator,
    Value,
)

LEAST, GREATEST = -(2**63), 2**63 - 1
BOUNDS: Final = {
    INT: (LEAST, GREATEST),
    TIMESTAMP: (-62_135_596_800_000_000, 253_402_300_799_999_999),
    DURATION: (-315_576_000_000_000_000, 315_576_000_000_000_000),
}
FIELDS: Final = {type_: (f"{type_.value}_a", f"row.{type_.value}_b") for type_ in FieldType}
CATALOGUE: Final = Catalogue(
    Field(name=name, type=type_) for type_, names in FIELDS.items() for name in names
)
COMPARISONS: Final = tuple(BinaryOperator)[:6]
ARITHMETIC: Final = tuple(BinaryOperator)[6:]
MAX_DRAWN_DEPTH: Final = 3

EXAMPLES = settings(max_examples=80, deadline=None)

Draw = Callable[[st.SearchStrategy[Expr]], Expr]


def counted(type_: FieldType) -> st.SearchStrategy[int]:
    least, greatest = BOUNDS[type_]
    near = st.sampled_from([least, least + 1, greatest - 1, greatest])
    return st.integers(-3, 3) | st.integers(least, greatest) | near


VALUES: Final[Mapping[FieldType, st.SearchStrategy[Value]]] = {
    INT: counted(INT),
    TIMESTAMP: counted(TIMESTAMP),
    DURATION: counted(DURATION),
    BOOL: st.booleans(),
    STRING: st.sampled_from(["", "a", "ab", "工资", "'\\\"", "\n\u202e\x00"]) | st.text(max_size=5),
}
TYPES: Final = st.sampled_from(FieldType)
FULL: Final = {field.name: VALUES[field.type] for field in CATALOGUE}
ROWS: Final = st.fixed_dictionaries(FULL) | st.fixed_dictionaries(
    {}, optional={name: values | st.none() for name, values in FULL.items()}
)


@cache
def literals(type_: FieldType) -> st.SearchStrategy[Literal]:
    return st.builds(Literal, type=st.just(type_), value=VALUES[type_])


@cache
def leaves(type_: FieldType) -> st.SearchStrategy[Expr]:
    references = st.builds(Reference, name=st.sampled_from(FIELDS[type_]))
    presences = st.builds(Presence, name=st.sampled_from(FIELDS[STRING]))
    found: st.SearchStrategy[Expr] = literals(type_) | references
    return found | presences if type_ is BOOL else found


@cache
def trees(type_: FieldType, depth: int = MAX_DRAWN_DEPTH) -> st.SearchStrategy[Expr]:
    """Expressions of a type."""
    if depth == 0:
        return leaves(type_)
    branches = st.deferred(lambda: st.one_of(*_branches(type_, depth - 1)))
    return leaves(type_) | branches


def _branches(type_: FieldType, depth: int) -> list[st.SearchStrategy[Expr]]:
    same = trees(type_, depth)
    chosen = st.builds(Conditional, condition=trees(BOOL, depth), then=same, otherwise=same)
    if type_ is BOOL:
        return [chosen, *_conditions(depth)]
    if type_ is STRING:
        return [chosen]
    extremes = st.sampled_from([Function.MAX, Function.MIN])
    calls = st.builds(Call, function=extremes, arguments=st.tuples(same, same) | _several(same))
    return [chosen, calls, *_sums(type_, depth)]


def _several(part: st.SearchStrategy[Expr]) -> st.SearchStrategy[tuple[Expr, ...]]:
    return st.lists(part, min_size=2, max_size=4).map(tuple)


def _conditions(depth: int) -> list[st.SearchStrategy[Expr]]:
    bools = trees(BOOL, depth)
    texts = st.tuples(trees(STRING, depth), trees(STRING, depth))
    methods = [Function.STARTS_WITH, Function.ENDS_WITH, Function.CONTAINS]
    return [
        st.builds(Unary, operator=st.just(UnaryOperator.NOT), operand=bools),
        st.builds(Logical, operator=st.sampled_from(LogicalOperator), operands=_several(bools)),
        st.builds(Call, function=st.sampled_from(methods), arguments=texts),
        TYPES.flatmap(lambda type_: _comparisons(type_, depth)),
        TYPES.flatmap(lambda type_: _memberships(type_, depth)),
    ]


@cache
def _comparisons(type_: FieldType, depth: int) -> st.SearchStrategy[Expr]:
    operators = COMPARISONS[:2] if type_ is BOOL else COMPARISONS
    side = trees(type_, depth)
    return st.builds(Binary, operator=st.sampled_from(operators), left=side, right=side)


@cache
def _memberships(type_: FieldType, depth: int) -> st.SearchStrategy[Expr]:
    options = st.lists(literals(type_), min_size=1, max_size=4).map(tuple)
    return st.builds(Membership, element=trees(type_, depth), options=options)


def _sums(type_: FieldType, depth: int) -> list[st.SearchStrategy[Expr]]:
    def binary(
        operator: BinaryOperator, left: FieldType, right: FieldType
    ) -> st.SearchStrategy[Expr]:
        sides = {"left": trees(left, depth), "right": trees(right, depth)}
        return st.builds(Binary, operator=st.just(operator), **sides)

    add, subtract = BinaryOperator.ADD, BinaryOperator.SUBTRACT
    if type_ is TIMESTAMP:
        return [
            binary(add, TIMESTAMP, DURATION),
            binary(add, DURATION, TIMESTAMP),
            binary(subtract, TIMESTAMP, DURATION),
        ]
    negated = st.builds(Unary, operator=st.just(UnaryOperator.NEGATE), operand=trees(type_, depth))
    if type_ is DURATION:
        spans = [binary(subtract, TIMESTAMP, TIMESTAMP), binary(add, DURATION, DURATION)]
        return [negated, *spans, binary(subtract, DURATION, DURATION)]
    size = st.builds(
        Call, function=st.just(Function.SIZE), arguments=st.tuples(trees(STRING, depth))
    )
    size_of = st.builds(
        Call, function=st.just(Function.ABS), arguments=st.tuples(trees(INT, depth))
    )
    return [negated, size, size_of, *(binary(operator, INT, INT) for operator in ARITHMETIC)]


TYPED: Final = (st.just(BOOL) | TYPES).flatmap(
    lambda type_: st.tuples(st.just(type_), trees(type_))
)


def result(tree: Expr, type_: FieldType, row: Row) -> Value | Fault:
    """What our evaluator says."""
    try:
        value: Value = expression.compile(tree, CATALOGUE, type_).evaluate(row)
    except EvaluationError as error:
        return error.fault
    return value


# The interpreter that ours is held against: values or faults, nothing raised.


def meaning(  # noqa: PLR0911 - a case for each kind of node
    tree: Expr, row: Row
) -> Value | Fault:
    match tree:
        case Literal(value=value):
            return value
        case Presence(name=name):
            return row.get(name) is not None
        case Reference(name=name):
            found = row.get(name)
            assert found is None or isinstance(found, (int, str))
            return Fault.NO_SUCH_VALUE if found is None else found
        case Logical(operator=joint, operands=operands):
            return _joined(joint, [meaning(operand, row) for operand in operands])
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            taken = meaning(condition, row)
            if isinstance(taken, Fault):
                return taken
            return meaning(then if taken else otherwise, row)
        case Membership(element=element, options=options):
            wanted = meaning(element, row)
            if isinstance(wanted, Fault):
                return wanted
            return any(wanted == option.value for option in options)
    return _strict(tree, row)


def _joined(joint: LogicalOperator, found: list[Value | Fault]) -> Value | Fault:
    settling = joint is LogicalOperator.OR
    if any(each is settling for each in found):
        return settling
    faults = [each for each in found if isinstance(each, Fault)]
    return faults[0] if faults else not settling


def _strict(tree: Expr, row: Row) -> Value | Fault:
    """Nodes that have no value when an operand has none."""
    values: list[Value] = []
    for part in _operands(tree):
        found = meaning(part, row)
        if isinstance(found, Fault):
            return found
        values.append(found)
    computed = _computed(tree, values)
    if isinstance(computed, (Fault, bool, str)):
        return computed
    least, greatest = BOUNDS[_type(tree)]
    return computed if least <= computed <= greatest else Fault.OVERFLOW


def _operands(tree: Expr) -> tuple[Expr, ...]:
    match tree:
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Call(arguments=arguments):
            return arguments
    raise AssertionError(tree)


def _type(tree: Expr) -> FieldType:
    """The type of a checked tree, found by asking the checker for each."""
    for type_ in FieldType:
        try:
            expression.check(tree, CATALOGUE, type_)
        except ExpressionError:
            continue
        return type_
    raise AssertionError(tree)


def _computed(tree: Expr, values: list[Value]) -> Value | Fault:
    match tree:
        case Unary(operator=UnaryOperator.NOT):
            return not values[0]
        case Unary():
            return -_int(values[0])
        case Call(function=function):
            return _called(function, values)
        case Binary(operator=operator) if operator in COMPARISONS:
            return _compared(operator, *values)
        case Binary(operator=operator):
            return _calculated(operator, _int(values[0]), _int(values[1]))
    raise AssertionError(tree)


def _int(value: Value) -> int:
    assert type(value) is int
    return value


def _called(function: Function, values: list[Value]) -> Value:
    if function in (Function.MAX, Function.MIN):
        ordered = sorted(map(_int, values))
        return ordered[-1] if function is Function.MAX else ordered[0]
    first = values[0]
    if function is Function.ABS:
        return _int(first) if _int(first) >= 0 else -_int(first)
    assert isinstance(first, str)
    if function is Function.SIZE:
        return len(list(first))
    part = values[1]
    assert isinstance(part, str)
    places = {at for at in range(len(first) + 1) if first[at : at + len(part)] == part}
    if function is Function.CONTAINS:
        return bool(places)
    return (0 if function is Function.STARTS_WITH else len(first) - len(part)) in places


def _compared(operator: BinaryOperator, left: Value, right: Value) -> bool:
    def rank(value: Value) -> list[int]:
        return [ord(character) for character in value] if isinstance(value, str) else [value]

    less, more = rank(left) < rank(right), rank(left) > rank(right)
    return {
        "==": not less and not more,
        "!=": less or more,
        "<": less,
        "<=": not more,
        ">": more,
        ">=": not less,
    }[operator.value]


def _calculated(operator: BinaryOperator, left: int, right: int) -> int | Fault:
    if operator.value in "/%":
        if right == 0:
            return Fault.DIVISION_BY_ZERO
        whole = trunc(Fraction(left, right))
        if whole > GREATEST:
            return Fault.OVERFLOW
        return whole if operator is BinaryOperator.DIVIDE else left - whole * right
    return {"+": left + right, "-": left - right, "*": left * right}[operator.value]


@EXAMPLES
@given(TYPED)
def test_a_printed_tree_reads_back_as_the_same_tree(typed: tuple[FieldType, Expr]) -> None:
    """And the print of what was read is the same text: there is one spelling."""
    _, tree = typed
    text = expression.unparse(tree)
    assert expression.parse(text) == tree
    assert expression.unparse(expression.parse(text)) == text


@EXAMPLES
@given(TYPED)
def test_a_message_reads_back_as_the_same_tree(typed: tuple[FieldType, Expr]) -> None:
    """Positions too, which do not count in comparison."""
    _, drawn = typed
    tree = expression.parse(expression.unparse(drawn))
    message = expression.to_proto(tree)
    assert expression.from_proto(message) == tree
    assert expression.to_proto(expression.from_proto(message)) == message


@settings(EXAMPLES, max_examples=200)
@given(TYPED, ROWS)
def test_the_evaluator_agrees_with_the_interpreter(typed: tuple[FieldType, Expr], row: Row) -> None:
    """Same value, of the same type, or same fault, for every tree and row."""
    type_, tree = typed
    found, wanted = result(tree, type_, row), meaning(tree, row)
    assert (found, type(found)) == (wanted, type(wanted))


@EXAMPLES
@given(trees(BOOL), ROWS)
def test_an_explanation_agrees_with_the_evaluation(tree: Expr, row: Row) -> None:
    """The conditions at the top, joined by &&, come to what the whole comes to."""
    conditions = expression.compile(tree, CATALOGUE).explain(row).conditions
    found = [each.fault if each.value is None else each.value for each in conditions]
    assert None not in found
    joined = _joined(LogicalOperator.AND, [each for each in found if each is not None])
    assert joined == result(tree, BOOL, row)
    assert [each.text for each in conditions] == list(
        map(expression.unparse, expression.conjuncts(tree))
    )


@st.composite
def wild(draw: st.DrawFn) -> Expr:
    """Trees whose operands may have been drawn for another type."""
    usual = draw(TYPES)
    types = st.just(usual) | TYPES
    first, second, third = (draw(types.flatmap(lambda type_: trees(type_, 1))) for _ in range(3))
    made: list[Expr] = [
        Unary(operator=draw(st.sampled_from(UnaryOperator)), operand=first),
        Binary(operator=draw(st.sampled_from(BinaryOperator)), left=first, right=second),
        Logical(operator=LogicalOperator.AND, operands=(first, second)),
        Membership(element=first, options=(draw(types.flatmap(literals)),)),
        Call(function=draw(st.sampled_from(Function)), arguments=(first, second)),
        Call(function=draw(st.sampled_from(Function)), arguments=(first,)),
        Conditional(condition=first, then=second, otherwise=third),
    ]
    return draw(st.sampled_from(made))


@settings(EXAMPLES, max_examples=200)
@given(wild(), ROWS)
def test_what_the_checker_passes_never_meets_a_wrong_type(tree: Expr, row: Row) -> None:
    """Rows that keep to the catalogue leave missing values, overflow and division by zero."""
    for type_ in FieldType:
        try:
            found = result(tree, type_, row)
        except ExpressionError:
            continue
        assert found is not Fault.WRONG_TYPE
        if not isinstance(found, Fault):
            assert type(found) is {STRING: str, BOOL: bool}.get(type_, int)
