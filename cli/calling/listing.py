"""Methods in a table: what each takes and answers, who may call it, whether it streams."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.descriptor import FieldDescriptor

from cli.calling.catalogue import Catalogue, Row
from cli.calling.types import is_map, name_of
from cli.output import print_table, terminal

MAX_FIELDS = 6
"""Most fields in a signature; '--describe' shows all."""


def print_methods(rows: Sequence[Row], catalogue: Catalogue) -> None:
    """Print methods in their contract's order: a line for each, in pipes tab-separated."""
    if terminal():
        _print_lines(rows, catalogue)
        return
    print_table(
        ("Method", "Signature", "Permission", "Streams"),
        [(catalogue.label(row), signature(row), permission(row), streams(row)) for row in rows],
    )


def _print_lines(rows: Sequence[Row], catalogue: Catalogue) -> None:
    """Not as a table, which would cut names and break signatures on a narrow terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for row in rows:
        line = Text.assemble((catalogue.label(row), "bold"), signature(row))
        line.append(f"  {permission(row)}", style="cyan")
        if streams(row):
            line.append(f"  streams {streams(row)}", style="yellow")
        console.print(line, soft_wrap=True)


def signature(row: Row) -> str:
    """What a method takes and answers, on one line: "(customerId: int64) → Answer"."""
    found = row.descriptor
    fields = [f"{f.json_name}: {_type(f)}" for f in found.input_type.fields[:MAX_FIELDS]]
    more = ["…"] if len(found.input_type.fields) > MAX_FIELDS else []
    taken = f"{'stream ' if found.client_streaming else ''}({', '.join(fields + more)})"
    return f"{taken} → {'stream ' if found.server_streaming else ''}{found.output_type.name}"


def permission(row: Row) -> str:
    """Who may call it; empty when its contract does not say."""
    if row.policy is None:
        return ""
    policy = row.policy.policy
    if policy.anonymous:
        return "anonymous"
    return f"{policy.permission}{' (services)' if policy.internal else ''}"


def streams(row: Row) -> str:
    """Which sides send many messages."""
    sides = {
        "requests": row.descriptor.client_streaming,
        "answers": row.descriptor.server_streaming,
    }
    return " and ".join(side for side, many in sides.items() if many)


def _type(field: FieldDescriptor) -> str:
    if field.is_repeated and not is_map(field):
        return f"[{name_of(field)}]"
    return name_of(field)
