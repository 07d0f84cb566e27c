"""The fields that expressions may name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from engine.expr.v1 import expr_pb2
from mesh.expression._errors import unknown_name
from mesh.expression._grammar import RESERVED
from mesh.expression._tree import MAX_NAME
from mesh.expression._types import FieldType

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field. `nullable` says that a row may lack it; it changes no meaning.

    Raises:
        ValueError: the name cannot be written in an expression.
    """

    name: str
    type: FieldType
    nullable: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME or not _NAME.fullmatch(self.name):
            raise ValueError("a field is named by letters, digits and _, with dots between words")
        if not RESERVED.isdisjoint(self.name.split(".")):
            raise ValueError(f"{self.name} holds a word that the language keeps for itself")


class Catalogue:
    """Fields by name. Immutable.

    Raises:
        ValueError: two fields have one name.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        listed = tuple(fields)
        self._fields: Mapping[str, Field] = {field.name: field for field in listed}
        if len(self._fields) < len(listed):
            raise ValueError("a catalogue names each field once")

    @classmethod
    def of(cls, *fields: Field, **types: FieldType) -> Self:
        """A catalogue of fields, and of names with their types: `Catalogue.of(amount_fen=INT)`."""
        named = (Field(name=name, type=type_) for name, type_ in types.items())
        return cls([*fields, *named])

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields.values())

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __len__(self) -> int:
        return len(self._fields)

    def field(self, name: str, position: int = 0) -> Field:
        """The field with this name, which was read at `position`.

        Raises:
            ExpressionError: there is none; names the nearest.
        """
        found = self._fields.get(name)
        if found is None:
            raise unknown_name(position, "field", name, self._fields)
        return found

    def to_proto(self) -> expr_pb2.Catalogue:
        """The catalogue as its message."""
        return expr_pb2.Catalogue(
            fields=[
                expr_pb2.Field(
                    name=field.name,
                    type=expr_pb2.FieldType.Value(f"FIELD_TYPE_{field.type.name}"),
                    nullable=field.nullable,
                    description=field.description,
                )
                for field in self
            ]
        )

    @classmethod
    def from_proto(cls, message: expr_pb2.Catalogue) -> Self:
        """The catalogue that a message holds.

        Raises:
            ValueError: a field's name or type cannot be, or two have one name.
        """
        return cls(
            Field(
                name=field.name,
                type=_type(field.type),
                nullable=field.nullable,
                description=field.description,
            )
            for field in message.fields
        )


def _type(number: int) -> FieldType:
    for type_ in FieldType:
        if expr_pb2.FieldType.Value(f"FIELD_TYPE_{type_.name}") == number:
            return type_
    raise ValueError("a field has a type of the contract")
