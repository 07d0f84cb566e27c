"""Another server takes over, in no more time than callers of strict ids can bear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from loadtests.bench.sequencer_stage import BENCH, prepare, settings_in
from loadtests.servers import MariaDb
from mesh import DirectoryRegistry, Settings
from mesh.settings import to_environ
from mesh.tokens import ServiceKey
from sequencer.sdk import Sequencer, StrictSequence, mesh_source
from sequencer.sdk._link import ATTEMPT_S
from sequencer.sdk._supply import CALL_TIMEOUT_S
from tests.fault.ranges import Taken, Takings
from tests.fault.victims import Worker

NAME: Final = "fault.strict"
SERVERS: Final = 2
CALLERS: Final = 4
TAKEOVER_S: Final = 3.0
BUSY_MACHINE: Final = 3
"""How many times slower than promised a takeover may be where tests run beside each other."""

MORE: Final = 2_000
LOOK_S: Final = 0.01
PROGRESS_S: Final = 30.0


def test_a_silent_server_is_given_up_in_time_for_another() -> None:
    """What a client waits for one server and for the next makes less than the promise."""
    assert (SERVERS - 1) * ATTEMPT_S < CALL_TIMEOUT_S < TAKEOVER_S


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    ("hurt", "heal"), [(Worker.kill, Worker.start), (Worker.pause, Worker.resume)]
)
def test_strict_ids_go_on_in_their_order_without_the_server_that_gave_them(
    tmp_path: Path, hurt: Callable[[Worker], None], heal: Callable[[Worker], None]
) -> None:
    """Each of two servers dies, or freezes and comes back; no caller sees an error."""
    with (
        _servers(tmp_path) as (settings, servers),
        _strict(settings) as strict,
        _taking(strict, tmp_path) as files,
    ):
        for server in servers:
            _until_all_take(files)
            hurt(server)
            _until_all_take(files)
            heal(server)
        _until_all_take(files)

    taken = Taken.read(files)
    assert [*taken.doubled(), *taken.falling(), *taken.out_of_order()] == []
    longest_ns = (taken.rows[:, 2] - taken.rows[:, 1]).max()
    assert longest_ns < BUSY_MACHINE * TAKEOVER_S * 1e9


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[Settings, list[Worker]]]:
    """Two servers on one database, which lives on."""
    with MariaDb(folder / "db") as mariadb, ExitStack() as stack:
        settings = settings_in(folder / "run", mariadb.url)
        prepare(settings)
        environ = to_environ(settings)
        yield (
            settings,
            [
                stack.enter_context(
                    Worker(
                        "tests.fault.takers",
                        "server",
                        str(number),
                        log=folder / f"server-{number}.log",
                        environ=environ,
                    )
                )
                for number in range(1, SERVERS + 1)
            ],
        )


@contextmanager
def _strict(settings: Settings) -> Iterator[StrictSequence]:
    """The sequence, of a client whose callers never give up before a takeover."""
    registry = DirectoryRegistry(settings.run_dir)
    source = mesh_source(registry, ServiceKey.load(settings.key_dir, BENCH))
    wanted = pb.Sequence(name=NAME, kind=pb.SEQUENCE_KIND_STRICT)
    source.link.call(
        NAME,
        lambda channel: SequencerServiceStub(channel).CreateSequence,
        pb.CreateSequenceRequest(sequence=wanted),
        timeout_s=5.0,
    )
    with Sequencer(source, timeout_s=BUSY_MACHINE * TAKEOVER_S) as sequencer:
        yield sequencer.strict(NAME)


@contextmanager
def _taking(strict: StrictSequence, folder: Path) -> Iterator[list[Path]]:
    """Callers in threads, and the files of what each took; their errors are raised at the end."""
    stop = threading.Event()

    def take(path: Path) -> None:
        with Takings(path) as takings:
            while not stop.is_set():
                began = time.monotonic_ns()
                takings.note(began, strict.next_ids(1))

    files = [folder / f"caller-{number}.ids" for number in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(take, file) for file in files]
        try:
            yield files
        finally:
            stop.set()
    for caller in callers:
        caller.result()


def _until_all_take(files: list[Path]) -> None:
    """Return once each caller has taken some more ids."""
    until = time.monotonic() + PROGRESS_S
    before = {file: _size(file) for file in files}
    while any(_size(file) < size + MORE for file, size in before.items()):
        assert time.monotonic() < until, "a caller gets no ids any more"
        time.sleep(LOOK_S)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
