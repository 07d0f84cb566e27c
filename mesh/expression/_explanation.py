"""Why an expression came to its value for one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.expression._catalogue import Catalogue
from mesh.expression._errors import EvaluationError, Fault
from mesh.expression._evaluator import Evaluate, evaluator
from mesh.expression._literals import print_value
from mesh.expression._printer import unparse
from mesh.expression._tree import Expr, Logical, Unary, UnaryOperator, field_names
from mesh.expression._types import BOOL, FieldType, Row, Value, is_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A field that a condition looked at, and its value in the row as an expression writes it.

    `text` is "missing" for none, and "wrong type" for one that the catalogue does not allow.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A part of an expression and what it came to: `value`, or `fault` when it has none.

    `parts` are the conditions that it is joined from, all evaluated, whether or
    not they were needed.
    """

    text: str
    type: FieldType
    value: Value | None
    fault: Fault | None
    inputs: tuple[Input, ...]
    parts: tuple[Condition, ...]

    @property
    def held(self) -> bool:
        """Whether it is true; one without a value did not hold."""
        return self.value is True

    def line(self, *, values: bool) -> str:
        """One line for people: "amount_fen >= 5000000: 120000 → false".

        Without `values` it holds nothing of the row and may be kept where customer
        data may not: "amount_fen >= 5000000 → false".
        """
        return f"{self.text}{self._looked_at() if values else ''} → {self._outcome(values=values)}"

    def _looked_at(self) -> str:
        if len(self.inputs) == 1:
            return f": {self.inputs[0].text}"
        listed = ", ".join(f"{each.name} = {each.text}" for each in self.inputs)
        return f": {listed}" if listed else ""

    def _outcome(self, *, values: bool) -> str:
        if self.value is None:
            return self.fault.value if self.fault else ""
        shown = values or self.type is BOOL
        return print_value(self.value, self.type) if shown else self.type.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The conditions joined by && at the top of an expression, in their order."""

    conditions: tuple[Condition, ...]

    def lines(self, *, values: bool = True) -> tuple[str, ...]:
        """A line for each condition; see `Condition.line`."""
        return tuple(condition.line(values=values) for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What evaluates one condition for an explanation."""

    text: str
    type: FieldType
    evaluate: Evaluate
    fields: Sequence[tuple[str, FieldType]]
    parts: Sequence[Probe]

    def condition(self, row: Row) -> Condition:
        """What it comes to for a row."""
        value, fault = None, None
        try:
            value = self.evaluate(row)
        except EvaluationError as error:
            fault = error.fault
        return Condition(
            text=self.text,
            type=self.type,
            value=value,
            fault=fault,
            inputs=tuple(_input(row, name, type_) for name, type_ in self.fields),
            parts=tuple(part.condition(row) for part in self.parts),
        )


def probe_of(expr: Expr, type_: FieldType, catalogue: Catalogue) -> Probe:
    """What explains a checked expression of this type."""
    return Probe(
        text=unparse(expr),
        type=type_,
        evaluate=evaluator(expr, catalogue),
        fields=[(name, catalogue.field(name).type) for name in field_names(expr)],
        parts=[probe_of(part, BOOL, catalogue) for part in _parts(expr)],
    )


def _parts(expr: Expr) -> Sequence[Expr]:
    match expr:
        case Logical(operands=operands):
            return operands
        case Unary(operator=UnaryOperator.NOT, operand=operand):
            return (operand,)
        case _:
            return ()


def _input(row: Row, name: str, type_: FieldType) -> Input:
    value = row.get(name)
    if value is None:
        return Input(name=name, text="missing")
    if not is_value(value, type_) or not isinstance(value, (int, str)):
        return Input(name=name, text="wrong type")
    return Input(name=name, text=print_value(value, type_))
