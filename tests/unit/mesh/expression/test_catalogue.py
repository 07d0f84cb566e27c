"""A catalogue names fields that an expression can name."""

from __future__ import annotations

import pytest

from mesh import expression
from mesh.expression import BOOL, INT, STRING, Catalogue, Field


@pytest.mark.parametrize(
    "name", ["", "1a", "a-b", "a..b", ".a", "工资", "in", "a.true", "has", "a" * 101, "a\n"]
)
def test_a_name_that_cannot_be_written_is_refused(name: str) -> None:
    """Reserved words are among them, behind a dot too."""
    with pytest.raises(ValueError, match=r"field|language"):
        Field(name=name, type=INT)


@pytest.mark.parametrize("name", ["class", "a.b.c", "_x9", "max", "IN", "a" * 100])
def test_a_field_of_a_catalogue_can_be_named_in_an_expression(name: str) -> None:
    """Names of functions too: a call has parentheses."""
    catalogue = Catalogue.of(Field(name=name, type=BOOL))
    compiled = expression.compile(expression.parse(f"has({name}) && {name}"), catalogue)
    assert compiled.evaluate({name: True}) is True
    assert compiled.fields == (name,)


def test_a_name_stands_once_in_a_catalogue() -> None:
    """Two types for one name would leave the choice to chance."""
    with pytest.raises(ValueError, match="once"):
        Catalogue.of(Field(name="n", type=STRING), n=INT)


def test_a_catalogue_survives_its_message() -> None:
    """Name, type, nullability and description, in their order."""
    catalogue = Catalogue.of(
        Field(name="memo", type=STRING, nullable=True, description="text of the event"),
        amount_fen=INT,
    )
    assert list(Catalogue.from_proto(catalogue.to_proto())) == list(catalogue)


def test_a_message_without_a_type_is_no_catalogue() -> None:
    """A field whose type is not stated could mean anything."""
    message = Catalogue.of(n=INT).to_proto()
    message.fields[0].ClearField("type")
    with pytest.raises(ValueError, match="type"):
        Catalogue.from_proto(message)
