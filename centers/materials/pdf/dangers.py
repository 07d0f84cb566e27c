"""What a document may not do on a reader's machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pikepdf import Name, Object

from centers.materials.pdf.references import within

ACTIONS: Final = frozenset({"/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/GoToE"})
"""Actions that run, start, send or open what is not the document."""

ENTRIES: Final = frozenset({"/JS", "/EF", "/EmbeddedFiles", "/XFA"})
"""Entries that hold scripts, or files within the file."""


def danger(objects: Iterable[Object]) -> str:
    """The first thing found that a document may not hold ("/JavaScript"); empty when none is."""
    for found in objects:
        for name, value in within(found):
            if name in ENTRIES:
                return name
            if name == "/S" and _is_action(value):
                return str(value)
    return ""


def _is_action(value: Any) -> bool:
    return isinstance(value, Name) and str(value) in ACTIONS
