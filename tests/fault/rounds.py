"""Rounds of events, of ids, of lanes and of the mesh: which parts, which faults, one seed each.

`python -m tests.fault.rounds --minutes 8 --seed 7` is `make chaos`.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from loadtests.proxy import Proxy
from loadtests.servers import MariaDb, Redis
from tests.fault import id_rounds, lane_rounds, mesh_rounds
from tests.fault.checkers import ViolationError
from tests.fault.nemesis import Fault, link_faults
from tests.fault.pipeline import Plan, run
from tests.fault.victims import Victim

KEPT: Final = Path("var/chaos")
EVENTS: Final = 20_000
SECONDS: Final = 30.0

T = TypeVar("T")


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
ALL: Final = (*GROUNDS, *id_rounds.ROUNDS, *lane_rounds.ROUNDS, *mesh_rounds.ROUNDS)


def play(name: str, *, seed: int, events: int, **changes: Any) -> int:
    """Play a round of events; how many faults there were. What it knows is kept when it fails.

    Args:
        name: one of `GROUNDS`.
        seed: of its faults.
        events: to be sent.
        changes: further fields of its `Plan`.

    Raises:
        ViolationError: a promise was broken.
    """
    with _kept(f"{name}-{seed}") as folder, GROUNDS[name](folder, seed) as ground:
        plan = Plan(
            folder=folder / "run",
            seed=seed,
            events=events,
            parts=ground.parts,
            servers=ground.servers,
            faults=ground.faults,
            again=_again(name, seed, f"--events {events}"),
        )
        return run(replace(plan, **changes))


def play_ids(name: str, *, seed: int, seconds: float, **changes: Any) -> id_rounds.Told:
    """Play a round of ids, one of `id_rounds.ROUNDS`. What it knows is kept when it fails.

    Raises:
        ViolationError: a promise was broken.
    """
    return _timed(id_rounds.play, name, seed=seed, seconds=seconds, **changes)


def play_lanes(name: str, *, seed: int, seconds: float, **changes: Any) -> lane_rounds.Told:
    """Play a round of lanes, one of `lane_rounds.ROUNDS`. What it knows is kept when it fails.

    Raises:
        ViolationError: a promise was broken.
    """
    return _timed(lane_rounds.play, name, seed=seed, seconds=seconds, **changes)


def play_mesh(name: str, *, seed: int, **changes: Any) -> mesh_rounds.Told:
    """Play a round of the mesh, one of `mesh_rounds.ROUNDS`. As `play_lanes`; it takes its time.

    Raises:
        ViolationError: a promise was broken, or all was well again later than promised.
    """
    with _kept(f"{name}-{seed}") as folder:
        try:
            return mesh_rounds.play(name, folder, seed=seed, **changes)
        except ViolationError as error:
            raise ViolationError(f"{error}\nagain: {_again(name, seed)}") from error


def _timed(play: Callable[..., T], name: str, *, seed: int, seconds: float, **changes: Any) -> T:
    with _kept(f"{name}-{seed}") as folder:
        try:
            return play(name, folder, seed=seed, seconds=seconds, **changes)
        except ViolationError as error:
            again = _again(name, seed, f"--seconds {seconds:g}")
            raise ViolationError(f"{error}\nagain: {again}") from error


def _again(name: str, seed: int, size: str = "") -> str:
    whole = f"--only {name} --seed {seed} {size}".rstrip()
    return f".venv/bin/python -m tests.fault.rounds {whole} --rounds 1"


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
    only: Annotated[
        str, typer.Option(help=f"Rounds whose names begin so, 'segment,strict': {', '.join(ALL)}.")
    ] = "",
    rounds: Annotated[int, typer.Option(help="At most so many; 0: as time allows.")] = 0,
    events: Annotated[int, typer.Option(help="Events in each round of them.", min=1_000)] = EVENTS,
    seconds: Annotated[float, typer.Option(help="Length of each other round.", min=1.0)] = SECONDS,
) -> None:
    """Kill, freeze and cut off what carries events and grants ids; check what was promised.

    A run that breaks a promise says how to repeat it; its histories and logs are kept.
    """
    names = [name for name in ALL if name.startswith(tuple(only.split(",")))]
    if not names:
        raise typer.BadParameter(f"choose from {', '.join(ALL)}", param_hint="--only")
    seed = seed or random.SystemRandom().randrange(1, 1_000_000)
    until = time.monotonic() + minutes * 60
    checked: Counter[str] = Counter()
    done = 0
    while time.monotonic() < until and (not rounds or done < rounds):
        name = names[done % len(names)]
        if name in GROUNDS:
            _told(name, seed + done, partial(_events, events=events))
        elif name in lane_rounds.ROUNDS:
            _told(name, seed + done, partial(_lanes, seconds=seconds))
        elif name in mesh_rounds.ROUNDS:
            _told(name, seed + done, _mesh)
        else:
            _told(name, seed + done, partial(_ids, seconds=seconds, checked=checked))
        done += 1
    for kind, ids in checked.items():
        print(f"{kind}: {ids:,} ids checked")
    print(f"{done} rounds, every promise kept")


def _events(name: str, seed: int, *, events: int) -> str:
    faults = play(name, seed=seed, events=events)
    return f"{events:,} events, each effect once, {faults} faults"


def _ids(name: str, seed: int, *, seconds: float, checked: Counter[str]) -> str:
    told = play_ids(name, seed=seed, seconds=seconds)
    checked[name.partition("-")[0]] += told.ids
    return f"{told.ids:,} ids as promised; {_counted(told.faults)}"


def _lanes(name: str, seed: int, *, seconds: float) -> str:
    told = play_lanes(name, seed=seed, seconds=seconds)
    ended = ", ".join(f"{times:,} {how}" for how, times in sorted(told.ended.items()))
    return f"calls as promised: {ended}; {_counted(told.faults)}"


def _mesh(name: str, seed: int) -> str:
    return str(play_mesh(name, seed=seed))


def _counted(faults: Iterable[str]) -> str:
    return ", ".join(f"{what} × {times}" for what, times in sorted(Counter(faults).items()))


def _told(name: str, seed: int, play_one: Callable[[str, int], str]) -> None:
    began = time.monotonic()
    print(f"{name:23} seed {seed:7}  ", end="", flush=True)
    try:
        print(f"{play_one(name, seed)}; {time.monotonic() - began:.0f} s", flush=True)
    except Exception as error:
        print(f"FAILED\n{error}\nHistories and logs are in {KEPT / f'{name}-{seed}'}.", flush=True)
        raise typer.Exit(1) from error


def _sockets(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".sock", ".lane"))]


if __name__ == "__main__":
    typer.run(main)
