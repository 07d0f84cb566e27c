"""Where the templates lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

TEMPLATES: Final = Path(__file__).parent / "center"
SUFFIX: Final = ".tmpl"
"""Keeps tools from taking a template for code of the project."""


def sources() -> Sequence[Path]:
    """The templates' paths below `TEMPLATES`, sorted; each is its place in the project."""
    found = (path for path in TEMPLATES.rglob(f"*{SUFFIX}") if path.is_file())
    return sorted(path.relative_to(TEMPLATES) for path in found)
