"""The embedded registry: a file for each instance in a folder that all processes of one host share.

An entry counts while the process that it names lives: nothing needs to renew
it, and a killed process leaves the table by dying. Who meets its entry then
removes it.

Every process looks many times a second. So the files are read when the folder
has changed, since each write renames or removes one in it, and else only
whether their processes live.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mesh.registry._base import Entry, HeaderRule, Route, Split, State

REFRESH_S = 0.1

ROUTE = ".route"
"""What the name of a route's file ends with."""

SETTLED_NS = 1_000_000_000
"""Two changes of a folder may bear the same time; after so long there is no second one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The table as it was read at a time, after so many writes of our own."""

    writes: int
    at: float
    table: Mapping[str, tuple[Entry, ...]]
    serving: Mapping[str, tuple[Entry, ...]]
    routes: Mapping[str, Route]

    @classmethod
    def of(
        cls,
        table: Mapping[str, tuple[Entry, ...]],
        routes: Mapping[str, Route],
        *,
        writes: int,
        at: float,
    ) -> Self:
        """The table, and of it the instances that take calls: that is asked at every call."""
        serving = {
            service: tuple(entry for entry in entries if entry.state is State.SERVING)
            for service, entries in table.items()
        }
        return cls(writes=writes, at=at, table=table, serving=serving, routes=routes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """An entry as it was written, with when its process began."""

    path: Path
    entry: Entry
    began: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The files of the folder when it had changed last at `changed_ns`; 0: to be read anew."""

    changed_ns: int
    files: tuple[_File, ...]
    routes: Mapping[str, Route]


class DirectoryRegistry:
    """A registry in `folder`, which is created with mode 0700."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writes = 0
        self._seen = _Seen.of({}, {}, writes=-1, at=0.0)
        self._listing = _Listing(changed_ns=0, files=(), routes={})

    async def register(self, entry: Entry) -> None:
        self._write(self._path(entry), {**asdict(entry), "began": _began(entry.pid)})

    async def withdraw(self, entry: Entry) -> None:
        self._path(entry).unlink(missing_ok=True)
        self._writes += 1

    def lookup(self, service: str) -> Sequence[Entry]:
        return self._look().serving.get(service, ())

    def services(self) -> Mapping[str, Sequence[Entry]]:
        return dict(self._look().table)

    def route(self, service: str) -> Route:
        return self._look().routes.get(service) or Route(service=service)

    def routes(self) -> Mapping[str, Route]:
        """All routes by service."""
        return self._look().routes

    async def set_route(self, route: Route) -> None:
        path = self._folder / f"{route.service}{ROUTE}"
        if route.rules or route.splits:
            self._write(path, asdict(route))
        else:
            path.unlink(missing_ok=True)
            self._writes += 1

    def _write(self, path: Path, fields: Mapping[str, Any]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(json.dumps(fields))
        fresh.rename(path)
        self._writes += 1

    def _path(self, entry: Entry) -> Path:
        return self._folder / f"{entry.service}-{entry.instance}.json"

    def _look(self) -> _Seen:
        seen, now = self._seen, time.monotonic()
        if seen.writes != self._writes or now - seen.at > REFRESH_S:
            # Several threads may read side by side; what one read before a write is not kept.
            writes = self._writes
            listing = self._list()
            table = _living(listing.files)
            seen = self._seen = _Seen.of(table, listing.routes, writes=writes, at=now)
        return seen

    def _list(self) -> _Listing:
        """The files, read anew when the folder has changed, or may have without showing it."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return _Listing(changed_ns=0, files=(), routes={})
        if self._listing.changed_ns == changed_ns:
            return self._listing
        is_settled = time.time_ns() - changed_ns > SETTLED_NS
        found = map(_file, sorted(self._folder.glob("*.json")))
        routes = map(_route, self._folder.glob(f"*{ROUTE}"))
        self._listing = _Listing(
            changed_ns=changed_ns if is_settled else 0,
            files=tuple(file for file in found if file is not None),
            routes={route.service: route for route in routes if route is not None},
        )
        return self._listing


def _living(files: Iterable[_File]) -> dict[str, tuple[Entry, ...]]:
    """The table of those whose processes live; the files of others are removed."""
    table: dict[str, list[Entry]] = {}
    for file in files:
        if file.began and file.began == _began(file.entry.pid):
            table.setdefault(file.entry.service, []).append(file.entry)
        else:
            file.path.unlink(missing_ok=True)
    return {service: tuple(entries) for service, entries in table.items()}


def _file(path: Path) -> _File | None:
    """What stands in a file; None when it was withdrawn meanwhile, or is not one of ours."""
    try:
        fields = json.loads(path.read_text())
        began = fields.pop("began")
        lanes = tuple(map(str, fields.pop("lanes", ())))
        entry = Entry(**{**fields, "state": State(fields["state"]), "lanes": lanes})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return _File(path=path, entry=entry, began=began)


def _route(path: Path) -> Route | None:
    """The route that stands in a file; None when it was removed meanwhile, or is not one."""
    try:
        fields = json.loads(path.read_text())
        return Route(
            service=fields["service"],
            rules=tuple(HeaderRule(**rule) for rule in fields["rules"]),
            splits=tuple(Split(**split) for split in fields["splits"]),
        )
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _began(pid: int) -> int:
    """When the process began, in clock ticks since the system did; 0 when it does not run.

    It tells a process from a later one with the same id. A zombie does not run.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - as fast as can be
            stat = file.read()
    except OSError:
        return 0
    fields = stat.rpartition(b")")[2].split()
    return 0 if fields[0] in {b"Z", b"X"} else int(fields[19])
