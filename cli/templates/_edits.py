"""Lines that a new centre adds to files which the project has already."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from cli.templates._names import Names

ROLE: Final = "head-office-operator"
"""Who may read and write what a new centre keeps; roles are a matter of the bank to change."""


class EditError(Exception):
    """A file of the project has another form than the edit expects."""


def _roles(text: str, names: Names) -> str:
    """Give the role the permissions of the new contract."""
    entry = re.compile(rf'( _role\(\n\s+"{ROLE}",.*?)(\n        \),)', re.DOTALL)
    given = "".join(f'\n            "{names.center}.{verb}",' for verb in ("read", "write"))
    return _once(entry, text, rf"\g<1>{given}\g<2>")


def _map(text: str, names: Names) -> str:
    """Name the package after the other centres."""
    rows = re.compile(r"((?:^\| `centers[.\w]*` \|.*\n)+)", re.MULTILINE)
    title = f"{names.title}: " if names.title else ""
    page = f"[centers/{names.center}.md](centers/{names.center}.md)"
    row = f"| `centers.{names.center}` | {title}{names.resources} ({page}) |\n"
    return _once(rows, text, rf"\g<1>{row}")


def _once(pattern: re.Pattern[str], text: str, replacement: str) -> str:
    changed, count = pattern.subn(replacement, text)
    if count != 1:
        raise EditError(f"{count} places match {pattern.pattern!r}, not one")
    return changed


EDITS: Final[Mapping[str, Callable[[str, Names], str]]] = {
    "centers/identity/roles.py": _roles,
    "docs/architecture.md": _map,
}
"""What is changed, by path."""
