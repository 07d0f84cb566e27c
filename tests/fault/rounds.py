"""Rounds of the pipeline: which parts, which faults, one seed each.

`python -m tests.fault.rounds --minutes 8 --seed 7` is `make chaos`.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from loadtests.servers import MariaDb, Redis
from tests.fault.checkers import ViolationError
from tests.fault.nemesis import Fault, link_faults
from tests.fault.pipeline import Plan, run
from tests.fault.proxy import Proxy
from tests.fault.victims import Victim

KEPT: Final = Path("var/chaos")
EVENTS: Final = 20_000


def embedded(folder: Path, seed: int, events: int) -> int:
    """SQLite and the service bus; every process is killed and frozen."""
    return _round("embedded", folder, seed, events)


def real(folder: Path, seed: int, events: int) -> int:
    """MariaDB and Redis Streams; processes and both servers are killed and frozen."""
    with MariaDb(folder / "db") as mariadb, Redis(folder / "redis") as redis:
        parts = {"database_url": mariadb.url, "redis_url": redis.url, "bus": "redis"}
        servers: dict[str, Victim] = {"mariadb": mariadb, "redis": redis}
        return _round("real", folder, seed, events, parts=parts, servers=servers)


def links(folder: Path, seed: int, events: int) -> int:
    """MariaDB and Redis Streams behind links that are cut, slow, half open and closed."""
    with ExitStack() as stack:
        mariadb = stack.enter_context(MariaDb(folder / "db"))
        redis = stack.enter_context(Redis(folder / "redis"))
        to_mariadb = stack.enter_context(Proxy(mariadb.address, seed=seed))
        to_redis = stack.enter_context(Proxy(redis.address, seed=seed))
        parts = {
            "database_url": f"mysql://{mariadb.user}@127.0.0.1:{to_mariadb.port}",
            "redis_url": f"redis://127.0.0.1:{to_redis.port}",
            "bus": "redis",
        }
        faults = tuple(link_faults({"to mariadb": to_mariadb, "to redis": to_redis}))
        return _round("links", folder, seed, events, parts=parts, faults=faults)


ROUNDS: Final[dict[str, Callable[[Path, int, int], int]]] = {
    "embedded": embedded,
    "real": real,
    "links": links,
}


def _round(
    name: str,
    folder: Path,
    seed: int,
    events: int,
    *,
    parts: dict[str, Any] | None = None,
    servers: dict[str, Victim] | None = None,
    faults: tuple[Fault, ...] = (),
) -> int:
    plan = Plan(
        folder=folder / "run",
        seed=seed,
        events=events,
        parts=parts or {},
        servers=servers or {},
        faults=faults,
        again=f".venv/bin/python -m tests.fault.rounds --only {name} --seed {seed} --rounds 1",
    )
    return run(plan)


def main(
    *,
    minutes: Annotated[float, typer.Option(help="Begin no round after so long.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Of the first round; 0 picks one.")] = 0,
    only: Annotated[str, typer.Option(help=f"One of {', '.join(ROUNDS)}; all in turn.")] = "",
    rounds: Annotated[int, typer.Option(help="At most so many; 0: as time allows.")] = 0,
    events: Annotated[int, typer.Option(help="Events in each round.", min=1_000)] = EVENTS,
) -> None:
    """Kill, freeze and cut off what carries events, and check that each had its effect once.

    A run that breaks a promise says how to repeat it; its histories and logs are kept.
    """
    if only and only not in ROUNDS:
        raise typer.BadParameter(f"choose from {', '.join(ROUNDS)}", param_hint="--only")
    seed = seed or random.SystemRandom().randrange(1, 1_000_000)
    names = [only] if only else [*ROUNDS]
    until = time.monotonic() + minutes * 60
    done = 0
    while time.monotonic() < until and (not rounds or done < rounds):
        _say(names[done % len(names)], seed + done, events)
        done += 1
    print(f"{done} rounds, nothing lost, nothing doubled")


def _say(name: str, seed: int, events: int) -> None:
    began = time.monotonic()
    print(f"{name:9} seed {seed:7}  {events:,} events … ", end="", flush=True)
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        try:
            faults = ROUNDS[name](Path(folder), seed, events)
        except (ViolationError, TimeoutError, RuntimeError) as error:
            kept = KEPT / f"{name}-{seed}"
            shutil.copytree(Path(folder) / "run", kept, dirs_exist_ok=True, ignore=_sockets)
            print(f"FAILED\n{error}\nHistories and logs are in {kept}.", flush=True)
            raise typer.Exit(1) from error
    print(f"{faults} faults, each effect once, {time.monotonic() - began:.0f} s", flush=True)


def _sockets(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".sock")]


if __name__ == "__main__":
    typer.run(main)
