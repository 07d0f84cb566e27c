"""Suite `expression`: a compiled expression against the same condition written in Python.

The peer is a lambda over the same row: it has no types, no missing values and no
overflow to look after. The condition is that of the model "large inflow".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from loadtests.bench import Figure, Run
from mesh import expression
from mesh.expression import INT, STRING, Catalogue, Field

PEER: Final = "hand-written Python"
TEXT: Final = "amount_fen >= 5000000 && class in ['SALARY', 'THIRD_PARTY']"
CATALOGUE: Final = Catalogue.of(Field(name="class", type=STRING), amount_fen=INT)
CLASSES: Final = frozenset({"SALARY", "THIRD_PARTY"})
Row = dict[str, Any]
ROWS: Final[tuple[Row, ...]] = tuple(
    {"amount_fen": amount, "class": class_}
    for amount in (120_000, 5_000_000, 80_000_000)
    for class_ in ("SALARY", "THIRD_PARTY", "INTERNAL")
)
ROUNDS: Final = 200


def figures(run: Run) -> Iterator[Figure]:
    """Rows a second against the peer, what one row costs, and what one version costs."""
    compiled = expression.compile(expression.parse(TEXT), CATALOGUE)
    ours = _rate(run, compiled.evaluate)
    peer = _rate(run, lambda row: row["amount_fen"] >= 5_000_000 and row["class"] in CLASSES)
    yield run.ratio("rows/s ÷ peer", ours, peer, against=PEER)
    yield run.report("one row", 1e6 / ours(), "µs")
    yield run.report("one row, which lacks a value", 1e6 / _missing(run, compiled.evaluate), "µs")
    yield run.report("parse, check and compile", 1e6 / run.rate(_compile), "µs")


def _rate(run: Run, evaluate: Callable[[Row], object]) -> Callable[[], float]:
    def batch() -> int:
        for _ in range(ROUNDS):
            for row in ROWS:
                evaluate(row)
        return ROUNDS * len(ROWS)

    return lambda: run.rate(batch)


def _missing(run: Run, evaluate: Callable[[Row], object]) -> float:
    row: Row = {"amount_fen": 6_000_000}

    def batch() -> int:
        for _ in range(ROUNDS):
            try:
                evaluate(row)
            except expression.EvaluationError:
                continue
        return ROUNDS

    return run.rate(batch)


def _compile() -> int:
    expression.compile(expression.parse(TEXT), CATALOGUE)
    return 1
