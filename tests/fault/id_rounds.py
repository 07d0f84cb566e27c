"""Rounds of ids: servers, stores and takers are hurt, and what was taken keeps its promise.

Each round is a kind on a ground: two servers on one store, three takers of one sequence.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from loadtests.proxy import Proxy
from loadtests.servers import MariaDb, Redis
from mesh import Settings
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import to_environ
from mesh.storage import address, migrations
from mesh.tokens import write_trust
from sequencer.app import BLUEPRINT
from tests.fault import takers
from tests.fault.checkers import ViolationError
from tests.fault.clocks import shifted, tidy
from tests.fault.copies import copy_server, copy_sqlite, put_back_server, put_back_sqlite
from tests.fault.history import History
from tests.fault.history import faults as faults_of
from tests.fault.nemesis import Fault, Nemesis, link_faults, process_faults
from tests.fault.numbers import Report, unaccounted
from tests.fault.ranges import Taken
from tests.fault.victims import Victim, Worker

SERVERS: Final = 2
TAKERS: Final = 3
RIGHTS: Final = frozenset(
    {"sequencer.lease", "sequencer.reserve", "sequencer.create", "sequencer.read"}
)
OFF_S: Final = 20.0
"""How far a clock is off: not so much that what a process says of itself counts as expired."""

LOOK_S: Final = 0.05
LOST_S: Final = (1.0, 2.0)
"""How much time a store that is put back has lost when nobody minds: all takers got ids then."""

HEALED_S: Final = 30.0
"""How long a taker may be without ids once all is healed."""

Judge = Callable[[Taken], list[str]]

PROMISES: Final[Mapping[str, Sequence[Judge]]] = {
    "segment": (Taken.doubled, Taken.falling),
    "strict": (Taken.doubled, Taken.falling, Taken.out_of_order),
    "snowflake": (Taken.doubled, Taken.falling, Taken.negative),
    "gapless": (Taken.doubled,),  # and see `numbers`
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a round is run on: settings, victims beside its processes, and further faults."""

    parts: dict[str, Any] = field(default_factory=dict)
    servers: dict[str, Victim] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    restores: Callable[[Mapping[str, Worker]], Sequence[Fault]] = field(default=lambda _: ())
    """Faults that put the store back to an older copy, given the processes that end with it."""


@contextmanager
def file(folder: Path) -> Iterator[Ground]:
    """SQLite, which both servers have open; it is put back while neither has."""
    database = folder / "run" / "data" / "sequencer.db"
    yield Ground(restores=lambda servers: [_put_back_file(database, folder / "copy.db", servers)])


@contextmanager
def mariadb(folder: Path) -> Iterator[Ground]:
    """MariaDB; the server is killed, frozen, and put back under servers that go on."""
    with MariaDb(folder / "db") as server:
        yield Ground(
            parts={"database_url": server.url},
            servers={"mariadb": server},
            restores=lambda _: [_put_back(server, folder / "copies")],
        )


@contextmanager
def link(folder: Path) -> Iterator[Ground]:
    """MariaDB behind a link that is cut, slow, half open and closed."""
    with MariaDb(folder / "db") as server, Proxy(server.address) as proxy:
        yield Ground(
            parts={"database_url": server.url_by(proxy.port)},
            faults=tuple(link_faults({"to mariadb": proxy})),
        )


@contextmanager
def redis(folder: Path) -> Iterator[Ground]:
    """The logs in Redis, with floors in SQLite."""
    with Redis(folder / "redis") as server:
        yield Ground(
            parts={"redis_url": server.url, "sequencer_log": "redis"},
            servers={"redis": server},
            restores=lambda _: [_put_back(server, folder / "copies")],
        )


GROUNDS: Final = {"file": file, "mariadb": mariadb, "link": link, "redis": redis}
ROUNDS: Final = tuple(
    f"{kind}-{ground}"
    for ground in GROUNDS
    for kind in PROMISES
    if ground != "redis" or kind in ("segment", "strict")
)
"""Every kind on every ground, but for kinds that keep nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a round saw: ids that were checked, and the faults that were done."""

    ids: int
    faults: Sequence[str]


def play(name: str, folder: Path, *, seed: int, seconds: float, careless: bool = False) -> Told:
    """Play one of `ROUNDS` in an empty folder, for so long.

    `careless` has servers that believe a store which was put back: it must be found out.

    Raises:
        ViolationError: the kind's promise was broken, or somebody gets no ids any more.
    """
    kind, _, ground_name = name.partition("-")
    run = folder / "run"
    run.mkdir()
    with GROUNDS[ground_name](folder) as ground, ExitStack() as stack:
        settings = Settings(
            var=run, drain_s=0.2, port_base=0, database_timeout_s=2.0, **ground.parts
        )
        _prepare(settings)
        environ = {**to_environ(settings), **({"FAULT_CARELESS": "1"} if careless else {})}
        servers = _start(stack, environ, {f"server-{n}": f"server {n}" for n in _upto(SERVERS)})
        _create(settings, kind)
        names = {f"taker-{n}": f"taker {kind} taker-{n}" for n in _upto(TAKERS)}
        workers = _start(stack, environ, names)
        processes = servers | workers
        pace: dict[str, Any] = {}
        if careless:  # nothing else matters then; takers that live on would remember
            faults, pace = list(ground.restores(processes)), {"for_s": LOST_S}
        else:
            restores = ground.restores(servers)
            faults = [*process_faults(processes | ground.servers), *ground.faults, *restores]
            faults += [fault for worker in processes.items() for fault in _clock_faults(*worker)]
        log = run / "nemesis.jsonl"
        with (
            History(log, seed=seed, python=sys.version.split()[0]) as history,
            Nemesis(faults, seed=seed, history=history, **pace),
        ):
            time.sleep(seconds)
        _until_all_take([run / f"{name}.ids" for name in names])
        for worker in workers.values():
            worker.stop()
        taken = Taken.read(run.glob("*.ids"))
        wrong = [text for judge in PROMISES[kind] for text in judge(taken)]
        if kind == "gapless":
            wrong += _unaccounted(settings, taken)
    if wrong:
        raise ViolationError("\n".join(wrong))
    return Told(ids=taken.ids, faults=[what for what in faults_of(log) if what != "healed"])


def _unaccounted(settings: Settings, taken: Taken) -> list[str]:
    link = takers.source(settings).link
    report = Report.of(link, takers.SEQUENCE.format(kind="gapless"))
    link.close()
    return unaccounted(taken, report)


def _upto(count: int) -> range:
    return range(1, count + 1)


def _prepare(settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True)
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(address(settings, BLUEPRINT.name), BLUEPRINT.migrations)
    rights = {BLUEPRINT.name: BLUEPRINT.rights | RIGHTS_OF_ALL, takers.TAKER: RIGHTS}
    write_trust(settings.key_dir, rights)


def _start(
    stack: ExitStack, environ: Mapping[str, str], commands: Mapping[str, str]
) -> dict[str, Worker]:
    folder = Path(environ["ENGINE_VAR"])
    return {
        name: stack.enter_context(
            Worker(
                "tests.fault.takers",
                *command.split(),
                log=folder / f"{name}.log",
                environ=environ,
            )
        )
        for name, command in commands.items()
    }


def _until_all_take(files: Sequence[Path]) -> None:
    """Return once every taker has taken ids again, now that all is healed.

    Raises:
        ViolationError: one does not.
    """
    before = {path: path.stat().st_size for path in files}
    until = time.monotonic() + HEALED_S
    while stuck := [path.stem for path, size in before.items() if path.stat().st_size <= size]:
        if time.monotonic() > until:
            raise ViolationError(f"{', '.join(stuck)}: no ids, {HEALED_S:g} s after all was healed")
        time.sleep(LOOK_S)


def _clock_faults(name: str, worker: Worker) -> Iterator[Fault]:
    """A process is killed, and lives on for a time with a clock that is off."""
    for seconds in (-OFF_S, OFF_S):
        other = worker.under(*shifted(seconds))

        def begin(other: Worker = other) -> None:
            worker.kill()
            tidy()
            other.start()

        def end(other: Worker = other) -> None:
            other.kill()
            tidy()
            worker.start()

        yield Fault(name=f"clock of {name} {seconds:+g} s", begin=begin, end=end)


def _put_back(server: MariaDb | Redis, copies: Path) -> Fault:
    """A server goes on for a time, and then has what it had at the beginning of that."""
    numbers = iter(range(1_000_000))
    taken: list[Path] = []

    def begin() -> None:
        copy_server(server, taken_now := copies / str(next(numbers)))
        taken.append(taken_now)

    return Fault(
        name=f"put {type(server).__name__} back",
        begin=begin,
        end=lambda: put_back_server(taken[-1], server),
    )


def _put_back_file(database: Path, copy: Path, processes: Mapping[str, Worker]) -> Fault:
    def end() -> None:
        for process in processes.values():
            process.kill()
        put_back_sqlite(copy, database)
        for process in processes.values():
            process.start()

    return Fault(name="put the file back", begin=lambda: copy_sqlite(database, copy), end=end)


def _create(settings: Settings, kind: str) -> None:
    wanted = pb.Sequence(
        name=takers.SEQUENCE.format(kind=kind),
        kind=pb.SequenceKind.Value(f"SEQUENCE_KIND_{kind.upper()}"),
    )
    link = takers.source(settings).link
    link.call(
        wanted.name,
        lambda channel: SequencerServiceStub(channel).CreateSequence,
        pb.CreateSequenceRequest(sequence=wanted),
        timeout_s=5.0,
    )
    link.close()
