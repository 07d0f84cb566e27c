"""The embedded registry: a file for each instance in a folder that all processes of one host share.

An entry counts while the process that it names lives: nothing needs to renew
it, and a killed process leaves the table by dying. Who meets its entry then
removes it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh.registry._base import Entry, State

REFRESH_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The table as it was read at a time, after so many writes of our own."""

    writes: int
    at: float
    table: Mapping[str, tuple[Entry, ...]]


class DirectoryRegistry:
    """A registry in `folder`, which is created with mode 0700."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writes = 0
        self._seen = _Seen(writes=-1, at=0.0, table={})

    async def register(self, entry: Entry) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(entry)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(json.dumps({**asdict(entry), "began": _began(entry.pid)}))
        fresh.rename(path)
        self._writes += 1

    async def withdraw(self, entry: Entry) -> None:
        self._path(entry).unlink(missing_ok=True)
        self._writes += 1

    def lookup(self, service: str) -> Sequence[Entry]:
        return tuple(e for e in self._entries().get(service, ()) if e.state is State.SERVING)

    def services(self) -> Mapping[str, Sequence[Entry]]:
        return dict(self._entries())

    def _path(self, entry: Entry) -> Path:
        return self._folder / f"{entry.service}-{entry.instance}.json"

    def _entries(self) -> Mapping[str, tuple[Entry, ...]]:
        seen, now = self._seen, time.monotonic()
        if seen.writes != self._writes or now - seen.at > REFRESH_S:
            # Several threads may read side by side; what one read before a write is not kept.
            writes = self._writes
            seen = self._seen = _Seen(writes=writes, at=now, table=self._read())
        return seen.table

    def _read(self) -> dict[str, tuple[Entry, ...]]:
        table: dict[str, list[Entry]] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                fields = json.loads(path.read_text())
                began = fields.pop("began")
                entry = Entry(**{**fields, "state": State(fields["state"])})
            except (FileNotFoundError, ValueError, TypeError, KeyError):
                continue  # withdrawn meanwhile, or not one of ours
            if began and began == _began(entry.pid):
                table.setdefault(entry.service, []).append(entry)
            else:
                path.unlink(missing_ok=True)
        return {service: tuple(entries) for service, entries in table.items()}


def _began(pid: int) -> int:
    """When the process began, in clock ticks since the system did; 0 when it does not run.

    It tells a process from a later one with the same id. A zombie does not run.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in {"Z", "X"} else int(fields[19])
