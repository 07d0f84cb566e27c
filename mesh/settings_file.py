"""Settings in a file: `NAME=value` a line, as shells and systemd read it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from mesh.settings import FILE, PREFIX, SettingsError, read


def environ_with(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with what a settings file adds to it; what is there already stays.

    Empty lines and those that begin with `#` say nothing; a value may stand in
    quotes, and `export` before the name.

    Raises:
        SettingsError: the file cannot be read, or has lines that are not settings; says which.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, value = _assignment(line)
            if not _is_set(name, environ):  # the file of a secret need not be there then
                read(name, value)
        except SettingsError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        if name in found:
            problems.append(f"{path}:{number}: {name} stands here twice")
        found[name] = value
    if problems:
        raise SettingsError("\n".join(problems))
    return {**{n: v for n, v in found.items() if not _is_set(n, environ)}, **environ}


def _assignment(line: str) -> tuple[str, str]:
    name, equals, value = line.strip().removeprefix("export ").partition("=")
    if not equals or not name.startswith(PREFIX):
        raise SettingsError(f"this is not {PREFIX}NAME=value")
    try:
        words = shlex.split(value, comments=True)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error
    if len(words) > 1:
        raise SettingsError(f"{name}: put a value with spaces in quotes")
    return name, words[0] if words else ""


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    """Whether the environment says it, be it as a value or by the file of a secret."""
    base = name.removesuffix(FILE)
    return base in environ or base + FILE in environ
