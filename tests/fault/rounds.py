"""Rounds of the pipeline: which parts, which faults, one seed each.

`python -m tests.fault.rounds --minutes 8 --seed 7` is `make chaos`.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from loadtests.proxy import Proxy
from loadtests.servers import MariaDb, Redis
from tests.fault.nemesis import Fault, link_faults
from tests.fault.pipeline import Plan, run
from tests.fault.victims import Victim

KEPT: Final = Path("var/chaos")
EVENTS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a round is run on: settings, and what can be hurt beside its processes."""

    parts: dict[str, Any] = field(default_factory=dict)
    servers: dict[str, Victim] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


@contextmanager
def embedded(_folder: Path, _seed: int) -> Iterator[Ground]:
    """SQLite and the service bus; every process is killed and frozen."""
    yield Ground()


@contextmanager
def mixed(folder: Path, seed: int) -> Iterator[Ground]:
    """MariaDB and the service bus; the server and the way to it fail as well."""
    with MariaDb(folder / "db") as mariadb, Proxy(mariadb.address, seed=seed) as link:
        yield Ground(
            parts={"database_url": mariadb.url_by(link.port)},
            servers={"mariadb": mariadb},
            faults=tuple(link_faults({"to mariadb": link})),
        )


@contextmanager
def real(folder: Path, _seed: int) -> Iterator[Ground]:
    """MariaDB and Redis Streams; processes and both servers are killed and frozen."""
    with MariaDb(folder / "db") as mariadb, Redis(folder / "redis") as redis:
        yield Ground(
            parts={"database_url": mariadb.url, "redis_url": redis.url, "bus": "redis"},
            servers={"mariadb": mariadb, "redis": redis},
        )


@contextmanager
def links(folder: Path, seed: int) -> Iterator[Ground]:
    """MariaDB and Redis Streams behind links that are cut, slow, half open and closed."""
    with (
        MariaDb(folder / "db") as mariadb,
        Redis(folder / "redis") as redis,
        Proxy(mariadb.address, seed=seed) as to_mariadb,
        Proxy(redis.address, seed=seed) as to_redis,
    ):
        yield Ground(
            parts={
                "database_url": mariadb.url_by(to_mariadb.port),
                "redis_url": redis.url_by(to_redis.port),
                "bus": "redis",
            },
            faults=tuple(link_faults({"to mariadb": to_mariadb, "to redis": to_redis})),
        )


GROUNDS: Final = {"embedded": embedded, "mixed": mixed, "real": real, "links": links}


def play(name: str, *, seed: int, events: int, **changes: Any) -> int:
    """Play a round; how many faults there were. Its histories and logs are kept when it fails.

    Args:
        name: one of `GROUNDS`.
        seed: of its faults.
        events: to be sent.
        changes: further fields of its `Plan`.

    Raises:
        ViolationError: a promise was broken.
    """
    again = f"--only {name} --seed {seed} --events {events} --rounds 1"
    with _kept(f"{name}-{seed}") as folder, GROUNDS[name](folder, seed) as ground:
        plan = Plan(
            folder=folder / "run",
            seed=seed,
            events=events,
            parts=ground.parts,
            servers=ground.servers,
            faults=ground.faults,
            again=f".venv/bin/python -m tests.fault.rounds {again}",
        )
        return run(replace(plan, **changes))


@contextmanager
def _kept(name: str) -> Iterator[Path]:
    """A folder that goes at the end; when the block fails a copy of its run stays."""
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        try:
            yield Path(folder)
        except BaseException:
            if (found := Path(folder) / "run").exists():
                shutil.copytree(found, KEPT / name, dirs_exist_ok=True, ignore=_sockets)
            raise


def main(
    *,
    minutes: Annotated[float, typer.Option(help="Begin no round after so long.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Of the first round; 0 picks one.")] = 0,
    only: Annotated[str, typer.Option(help=f"One of {', '.join(GROUNDS)}; all in turn.")] = "",
    rounds: Annotated[int, typer.Option(help="At most so many; 0: as time allows.")] = 0,
    events: Annotated[int, typer.Option(help="Events in each round.", min=1_000)] = EVENTS,
) -> None:
    """Kill, freeze and cut off what carries events, and check that each had its effect once.

    A run that breaks a promise says how to repeat it; its histories and logs are kept.
    """
    if only and only not in GROUNDS:
        raise typer.BadParameter(f"choose from {', '.join(GROUNDS)}", param_hint="--only")
    seed = seed or random.SystemRandom().randrange(1, 1_000_000)
    names = [only] if only else [*GROUNDS]
    until = time.monotonic() + minutes * 60
    done = 0
    while time.monotonic() < until and (not rounds or done < rounds):
        _say(names[done % len(names)], seed + done, events)
        done += 1
    print(f"{done} rounds, nothing lost, nothing doubled")


def _say(name: str, seed: int, events: int) -> None:
    began = time.monotonic()
    print(f"{name:9} seed {seed:7}  {events:,} events … ", end="", flush=True)
    try:
        faults = play(name, seed=seed, events=events)
    except Exception as error:
        print(f"FAILED\n{error}\nHistories and logs are in {KEPT / f'{name}-{seed}'}.", flush=True)
        raise typer.Exit(1) from error
    print(f"{faults} faults, each effect once, {time.monotonic() - began:.0f} s", flush=True)


def _sockets(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".sock")]


if __name__ == "__main__":
    typer.run(main)
