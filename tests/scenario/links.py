"""The chain as it rests on a platform: rows of the centres, and events on the bus."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

from engine.mesh.v1.event_pb2 import AuditRecord, Event
from loadtests.deployment import Platform

LINKS: Final = (
    "scene_version",
    "trigger_id",
    "opportunity_id",
    "task_id",
    "contact_id",
    "grant_id",
    "credit_id",
)
"""The ids of a chain, each after those that led to it."""

SOURCES: Final = {
    "opportunity_id": ("action", "opportunity"),
    "task_id": ("action", "task"),
    "contact_id": ("reach", "contact"),
    "grant_id": ("benefits", "benefit_grant"),
    "credit_id": ("performance", "credit"),
}
"""Where each link is made: a centre and its table."""

Row: TypeAlias = Mapping[str, int]
"""What a row says, by column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that names links; `key` is its primary key when that is one column."""

    centre: str
    name: str
    key: str
    links: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row that belongs to some chain, and where it was found."""

    table: Table
    row: Row


class Links:
    """Reads the databases of a platform that runs; it is not disturbed."""

    def __init__(self, platform: Platform) -> None:
        self._folder = Path(platform.environ["ENGINE_VAR"]) / "data"

    def rows(self, centre: str, query: str, *given: object) -> Sequence[sqlite3.Row]:
        """What a query answers."""
        place = f"file:{self._folder / centre}.db?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=30)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(query, given).fetchall()

    def made(self, link: str) -> Mapping[int, sqlite3.Row]:
        """All rows in which a link is made, by its id."""
        centre, table = SOURCES[link]
        return {row[link]: row for row in self.rows(centre, f"SELECT * FROM {table}")}

    def events(self) -> Iterator[Event]:
        """All events that the bus has, oldest first."""
        for row in self.rows("bus", "SELECT event FROM bus_event ORDER BY position"):
            yield Event.FromString(row["event"])

    def behaviors(self) -> Iterator[AuditRecord]:
        """The behaviour log, oldest first."""
        for row in self.rows("review", "SELECT record FROM behavior ORDER BY position"):
            yield AuditRecord.FromString(row["record"])

    def part_of(self, chain: Mapping[str, frozenset[int]]) -> Iterator[Found]:
        """Rows of all centres that name one of these links."""
        for table in self._tables:
            named = [link for link in table.links if link != LINKS[0] and chain.get(link)]
            if not named:
                continue
            wanted = " OR ".join(f"{link} IN ({_list(chain[link])})" for link in named)
            query = f"SELECT * FROM {table.name} WHERE {wanted}"
            for row in self.rows(table.centre, query):
                yield Found(table=table, row={link: row[link] for link in table.links})

    @cached_property
    def _tables(self) -> Sequence[Table]:
        """All tables of all centres that name a link."""
        found = []
        for centre in sorted(file.stem for file in self._folder.glob("*.db")):
            for (name,) in self.rows(centre, "SELECT name FROM sqlite_master WHERE type = 'table'"):
                columns = self.rows(centre, f"PRAGMA table_info({name})")
                keys = [column["name"] for column in columns if column["pk"]]
                links = {column["name"] for column in columns} & set(LINKS)
                key = keys[0] if len(keys) == 1 else ""
                found.append(Table(centre=centre, name=name, key=key, links=frozenset(links)))
        return [table for table in found if table.links]


def before(link: str) -> Sequence[str]:
    """The links that led to one; a grant leads to no credit."""
    return LINKS[: min(LINKS.index(link), LINKS.index("grant_id"))]


def _list(ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(ids)))
