"""What making a centre will write, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.templates._edits import EDITS, EditError
from cli.templates._names import Names
from cli.templates._source import SUFFIX, TEMPLATES, sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Files of a project, by path below its root: those that are new, and those that change."""

    new: Mapping[str, str]
    changed: Mapping[str, str]


def plan(root: Path, names: Names) -> Plan:
    """What the project at `root` gets with the centre.

    Raises:
        EditError: a file that must change has another form than is expected.
        FileExistsError: one that must be new is there.
    """
    new = {
        names.rendered(str(path).removesuffix(SUFFIX)): names.rendered(
            (TEMPLATES / path).read_text()
        )
        for path in sources()
    }
    for path in new:
        if (root / path).exists():
            raise FileExistsError(f"{path} exists; nothing is overwritten")
    return Plan(new=new, changed={path: _changed(root, path, names) for path in EDITS})


def _changed(root: Path, path: str, names: Names) -> str:
    try:
        return EDITS[path]((root / path).read_text(), names)
    except (EditError, OSError) as error:
        raise EditError(f"{path}: {error}") from error
