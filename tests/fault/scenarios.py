"""Runs that `make chaos` repeats: the same events on each choice of parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.servers import MariaDb, Redis
from tests.fault import pipeline
from tests.fault.nemesis import Fault, link_faults
from tests.fault.proxy import Proxy
from tests.fault.victims import Victim


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The parts of a run: settings that name them, servers, and faults on the way to them."""

    parts: dict[str, Any]
    servers: dict[str, Victim]
    faults: tuple[Fault, ...] = ()


@contextmanager
def embedded(_folder: Path, _seed: int) -> Iterator[Ground]:
    """SQLite, and the bus that is a service."""
    yield Ground(parts={}, servers={})


@contextmanager
def mariadb(folder: Path, seed: int) -> Iterator[Ground]:
    """MariaDB behind a bad network, and the bus that is a service."""
    with MariaDb(folder / "mariadb") as server, Proxy(server.address, seed=seed) as link:
        yield Ground(
            parts={"database_url": f"mysql://{server.user}@127.0.0.1:{link.port}"},
            servers={"mariadb": server},
            faults=tuple(link_faults({"the way to mariadb": link})),
        )


@contextmanager
def servers(folder: Path, seed: int) -> Iterator[Ground]:
    """MariaDB and Redis Streams, each behind a bad network."""
    with (
        mariadb(folder, seed) as sql,
        Redis(folder / "redis") as server,
        Proxy(server.address, seed=seed) as link,
    ):
        yield Ground(
            parts={**sql.parts, "bus": "redis", "redis_url": f"redis://127.0.0.1:{link.port}"},
            servers={**sql.servers, "redis": server},
            faults=(*sql.faults, *link_faults({"the way to redis": link})),
        )


GROUNDS: Final[dict[str, Callable[[Path, int], Any]]] = {
    "embedded": embedded,
    "mariadb": mariadb,
    "servers": servers,
}


def again(ground: str, *, seed: int, events: int) -> str:
    """The command that repeats a run."""
    return f".venv/bin/python -m tests.fault --only {ground} --seed {seed} --events {events}"


def events(ground: str, folder: Path, *, seed: int, number: int) -> int:
    """Carry so many events over a ground that is hurt; how many faults there were.

    Raises:
        ViolationError: a promise was broken.
    """
    with GROUNDS[ground](folder, seed) as found:
        plan = pipeline.Plan(
            folder=folder,
            seed=seed,
            events=number,
            parts=found.parts,
            servers=found.servers,
            faults=found.faults,
            again=again(ground, seed=seed, events=number),
        )
        return pipeline.run(plan)
