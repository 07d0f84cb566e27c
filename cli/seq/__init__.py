"""`engine seq`: sequences of ids."""

from __future__ import annotations

from typing import Final

import typer

from cli.seq import audit, definitions, ids, life, numbers, serials, takeover, workers

__all__ = ["app"]

app: Final = typer.Typer(
    no_args_is_help=True,
    help="""Sequences of ids: make them, take from them, see who got what.

    A sequence has a kind, and with it a promise. segment: ids are unique,
    and increase within each client. strict: they increase over all clients.
    gapless: every number is used or accounted for. snowflake: ids are
    ordered by time, and need no store.

    Begin with 'engine seq create demo.order', 'engine seq next demo.order'
    and 'engine seq audit demo.order'. docs/sequencer.md says which kind is
    for what, docs/howto/sequencer.md what to do when something went wrong.
    """,
)

_NEGATIVE: Final = {"ignore_unknown_options": True}
"""An id may be -5."""

_MAKE, _TAKE, _LOOK = "Make and change", "Take", "Look"
_GAPLESS, _END = "Numbers without gaps", "Repair and end"

app.command(rich_help_panel=_MAKE)(definitions.create)
app.command("list", rich_help_panel=_LOOK)(definitions.list_)
app.command(rich_help_panel=_LOOK, context_settings=_NEGATIVE)(audit.inspect)
app.command(rich_help_panel=_LOOK)(audit.audit)
app.command(rich_help_panel=_LOOK)(workers.workers)
app.command("next", rich_help_panel=_TAKE)(ids.next_)
app.command(rich_help_panel=_TAKE)(ids.peek)
app.command(rich_help_panel=_TAKE)(serials.serial)
app.command(rich_help_panel=_LOOK)(serials.read)
app.command(rich_help_panel=_GAPLESS)(numbers.reserve)
app.command(rich_help_panel=_GAPLESS, context_settings=_NEGATIVE)(numbers.confirm)
app.command(rich_help_panel=_GAPLESS, context_settings=_NEGATIVE)(numbers.release)
app.command(rich_help_panel=_GAPLESS)(numbers.gaps)
app.command(rich_help_panel=_GAPLESS)(numbers.voids)
app.command(rich_help_panel=_GAPLESS, context_settings=_NEGATIVE)(numbers.void)
app.command(rich_help_panel=_MAKE)(definitions.callers)
app.command(rich_help_panel=_MAKE)(definitions.rename)
app.command("import", rich_help_panel=_MAKE)(takeover.import_)
app.command(rich_help_panel=_END)(life.drain)
app.command(rich_help_panel=_END)(life.retire)
app.command(rich_help_panel=_END)(life.fence)
