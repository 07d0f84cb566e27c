"""A checked expression, ready for rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.expression._catalogue import Catalogue
from mesh.expression._checker import check
from mesh.expression._evaluator import Evaluate, evaluator
from mesh.expression._explanation import Explanation, Probe, probe_of
from mesh.expression._tree import Expr, conjuncts, field_names
from mesh.expression._types import BOOL, FieldType, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An expression over a catalogue. Pure: the same row always comes to the same.

    `evaluate(row)` answers the value, of type `type`, and raises `EvaluationError`
    where the row has none. `fields` are those that it looks at; `probes` explain
    its top conditions.
    """

    expr: Expr
    catalogue: Catalogue
    type: FieldType
    fields: tuple[str, ...]
    evaluate: Evaluate
    probes: Sequence[Probe]

    def explain(self, row: Row) -> Explanation:
        """Why it comes to what it does for a row; every condition is evaluated."""
        return Explanation(conditions=tuple(probe.condition(row) for probe in self.probes))


def compile(  # noqa: A001 - CEL's word; read as expression.compile
    expr: Expr, catalogue: Catalogue, expected: FieldType = BOOL
) -> Compiled:
    """Check an expression and make it ready for rows. Once for each version of a definition.

    Raises:
        ExpressionError: as `check`.
    """
    check(expr, catalogue, expected)
    return Compiled(
        expr=expr,
        catalogue=catalogue,
        type=expected,
        fields=field_names(expr),
        evaluate=evaluator(expr, catalogue),
        probes=[probe_of(part, expected, catalogue) for part in conjuncts(expr)],
    )
