"""Answers as JSON: coloured and spread on terminals, one a line in pipes and of streams."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from cli.calling.catalogue import Row
from cli.output import terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How answers are written.

    Args:
        defaults: also fields that are not set.
        one_line: also on a terminal: answers of a stream.
    """

    defaults: bool = False
    one_line: bool = False


def print_answer(message: Message, row: Row, shape: Shape) -> None:
    """Print an answer on standard output, and see to it that it is read at once.

    Raises:
        TypeError: it holds an `Any` whose type reflection did not give.
    """
    data = as_data(message, row, defaults=shape.defaults)
    print_json(data, spread=terminal() and not shape.one_line)


def as_data(message: Message, row: Row, *, defaults: bool = False) -> Any:
    """A message as what JSON has.

    Raises:
        TypeError: as for `print_answer`.
    """
    return MessageToDict(
        message, always_print_fields_with_no_presence=defaults, descriptor_pool=row.pool
    )


def print_json(data: Any, *, spread: bool) -> None:
    """Print what JSON has; in colours on terminals."""
    text = as_json(data, spread=spread)
    if not terminal():
        print(text, flush=True)
        return
    from rich.console import Console
    from rich.highlighter import JSONHighlighter

    Console().print(JSONHighlighter()(text), soft_wrap=True)


def as_json(data: Any, *, spread: bool = False) -> str:
    """JSON text that moves no cursor: what is not printable is written by its number."""
    separators = (",", ": ") if spread else (",", ":")
    text = json.dumps(data, ensure_ascii=False, indent=2 if spread else None, separators=separators)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
