"""docs/expressions.md says what the language does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh import expression
from mesh.expression import Catalogue, EvaluationError, ExpressionError, Field, FieldType

PAGE = (Path(__file__).parents[4] / "docs" / "expressions.md").read_text()
FIELDS = re.findall(r"^\| `([a-z_.]+)` \| (int|string|bool|timestamp) \|", PAGE, re.MULTILINE)
CATALOGUE = Catalogue(Field(name=name, type=FieldType(type_)) for name, type_ in FIELDS)


def blocks(language: str) -> list[str]:
    """The code of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def examples() -> Iterator[tuple[str, str]]:
    """Every expression with each line that stands, indented, below it."""
    for block in blocks("text"):
        text = ""
        for line in block.splitlines():
            if line.startswith("    "):
                yield text, line.strip()
            else:
                text = line


EXAMPLES = list(examples())
ROWS = [(text, *line.split(" → ")) for text, line in EXAMPLES if " → " in line]
REFUSALS = [(text, line) for text, line in EXAMPLES if " → " not in line]


def answer(text: str, row: dict[str, object]) -> str:
    """The value as JSON, or the fault."""
    tree = expression.parse(text)
    for type_ in FieldType:
        try:
            compiled = expression.compile(tree, CATALOGUE, type_)
        except ExpressionError:
            continue
        try:
            return json.dumps(compiled.evaluate(row))
        except EvaluationError as error:
            return error.fault.value
    raise AssertionError("of no type")


@pytest.mark.parametrize(("text", "row", "result"), ROWS)
def test_an_example_comes_to_what_the_page_says(text: str, row: str, result: str) -> None:
    """Value or fault of each row."""
    assert answer(text, json.loads(row)) == result


@pytest.mark.parametrize(("text", "message"), REFUSALS)
def test_a_refused_text_is_refused_as_the_page_says(text: str, message: str) -> None:
    """Position, expectation and hint."""
    with pytest.raises(ExpressionError) as refused:
        expression.compile(expression.parse(text), CATALOGUE)
    assert str(refused.value) == message


def test_the_python_of_the_page_runs() -> None:
    """Its assertions hold."""
    (code,) = blocks("python")
    exec(compile(code, "expressions.md", "exec"), {})


def test_the_page_was_read() -> None:
    """The examples above are not an empty list."""
    assert len(CATALOGUE) == 8
    assert len(ROWS) >= 20
    assert len(REFUSALS) >= 7
