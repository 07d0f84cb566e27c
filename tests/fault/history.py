"""What was asked of a system under faults, and what it answered, line by line.

An operation is invoked and then completes as OK, FAILED (it surely had no effect) or
UNKNOWN (nobody can tell). One that never completes, since its process died, is UNKNOWN.
The file is written through at each line: it outlives the process that writes it.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

INVOKED: Final = "INVOKED"
FAULT: Final = "FAULT"
HEAD: Final = "HEAD"


class Outcome(StrEnum):
    """What is known of an operation."""

    OK = "OK"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: `kind` is "write", "read" and so on; `value` what it was about."""

    process: str
    kind: str
    value: Any
    outcome: Outcome
    answer: Any = None
    began: float = 0.0
    ended: float = math.inf
    """When it was invoked and when it ended, in POSIX seconds; infinity: never."""


class History:
    """A history on disk, as a context manager. Several processes write files of their own.

    Args:
        path: the file, one JSON object a line; appended to when it exists.
        process: who writes.
        head: what repeats the run: its seed, versions, arguments.
    """

    def __init__(self, path: Path, *, process: str = "main", **head: Any) -> None:
        self.path = path
        self._process = process
        self._head = head
        self._life = secrets.token_hex(4)
        self._last = 0

    def __enter__(self) -> Self:
        begun = self.path.exists()
        self._file = self.path.open("a", buffering=1)
        if begun:
            self._file.write("\n")  # ends what a killed process began to write
        if self._head:
            self._write(HEAD, **self._head)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def operation(self, kind: str, value: Any) -> Iterator[_Running]:
        """Note an operation around a block that does it.

        The block says how it ended by `ok` or `failed`; else it is UNKNOWN, with an
        exception too, which goes on.
        """
        self._last += 1
        number = f"{self._life}.{self._last}"
        self._write(INVOKED, id=number, kind=kind, value=value)
        running = _Running()
        try:
            yield running
        finally:
            self._write(running.outcome, id=number, answer=running.answer)

    def fault(self, what: str, **details: Any) -> None:
        """Note that the nemesis did something."""
        self._write(FAULT, what=what, **details)

    def _write(self, type_: str, **fields: Any) -> None:
        line = {"type": type_, "at": time.time(), "process": self._process, **fields}
        self._file.write(json.dumps(line, default=str) + "\n")


class _Running:
    """An operation under way."""

    def __init__(self) -> None:
        self.outcome = Outcome.UNKNOWN
        self.answer: Any = None

    def ok(self, answer: Any = None) -> None:
        """It was acknowledged."""
        self.outcome, self.answer = Outcome.OK, answer

    def failed(self, answer: Any = None) -> None:
        """It surely had no effect."""
        self.outcome, self.answer = Outcome.FAILED, answer

    def unknown(self, answer: Any) -> None:
        """What was answered does not say whether it had an effect."""
        self.outcome, self.answer = Outcome.UNKNOWN, answer


def operations(paths: Iterable[Path]) -> list[Operation]:
    """The operations of some histories, each as far as it is known."""
    found: dict[str, Operation] = {}
    for line in (line for path in paths for line in _lines(path)):
        if line["type"] == INVOKED:
            found[line["id"]] = Operation(
                process=line["process"],
                kind=line["kind"],
                value=line["value"],
                outcome=Outcome.UNKNOWN,
                began=line["at"],
            )
        elif "id" in line:
            found[line["id"]] = replace(
                found[line["id"]],
                outcome=Outcome(line["type"]),
                answer=line["answer"],
                ended=line["at"],
            )
    return list(found.values())


def faults(path: Path) -> list[str]:
    """What the nemesis did, in its order."""
    return [line["what"] for line in _lines(path) if line["type"] == FAULT]


def moments(path: Path) -> list[tuple[str, float]]:
    """What the nemesis did, and when, in POSIX seconds."""
    return [(line["what"], line["at"]) for line in _lines(path) if line["type"] == FAULT]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text().splitlines():
        try:
            yield json.loads(text)
        except ValueError:  # its process was killed while it wrote
            continue
