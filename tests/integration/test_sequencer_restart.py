"""Real processes: a server that is killed, clients that fork, servers that share a database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mesh.context import CALLER
from mesh.registry import DirectoryRegistry, Entry
from mesh.settings import Settings
from mesh.tokens import ServiceKey, write_trust
from sequencer.app import BLUEPRINT
from sequencer.sdk import GrpcRangeSource, Lease, LeaseRequest, Sequencer, mesh_source

NAME = "shop.order"
PROCESSES, THREADS, IDS = 3, 4, 10_000_000
RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.lease"}

SERVER = """
import asyncio, sys
from pathlib import Path
from mesh.app import App
from mesh.registry import DirectoryRegistry
from mesh.settings import Settings
from sequencer.app import BLUEPRINT

async def serve():
    settings = Settings(var=Path(sys.argv[1]), drain_s=1.0)
    registry = DirectoryRegistry(settings.run_dir)
    async with App(BLUEPRINT, settings, registry, replica=int(sys.argv[2]), keys=[]):
        print("serving", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(serve())
"""

CLIENT = """
import sys
from pathlib import Path
from mesh.registry import DirectoryRegistry
from mesh.settings import Settings
from mesh.tokens import ServiceKey
from sequencer.sdk import Sequencer, mesh_source

settings = Settings(var=Path(sys.argv[1]))
source = mesh_source(
    DirectoryRegistry(settings.run_dir), ServiceKey.load(settings.key_dir, "shop")
)
"""

TAKE = """
import threading
from array import array
from itertools import repeat

folder, each = Path(sys.argv[2]), int(sys.argv[3])
half, go = threading.Barrier(5), threading.Event()

def take(number):
    ids = array("q", (next_id() for next_id in repeat(sequence.next_id, each // 2)))
    half.wait()
    go.wait()
    ids.extend(next_id() for next_id in repeat(sequence.next_id, each - each // 2))
    with open(folder / f"{number}.ids", "wb") as file:
        ids.tofile(file)

with Sequencer(source, survive_s=0, timeout_s=60) as sequencer:
    sequence = sequencer.sequence("shop.order")
    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    half.wait()
    print("half", flush=True)
    sys.stdin.readline()
    before = sequence.stats()
    for block in sequence.next_ids(before.held):
        print(block.start, block.stop)
    go.set()
    for thread in threads:
        thread.join()
    assert sequence.stats().waits > before.waits, "the outage was felt"
"""

FORK = """
import os

with Sequencer(source, survive_s=1, timeout_s=60) as sequencer:
    next_id = sequencer.sequence("shop.order").next_id
    ids = [next_id() for _ in range(1_000)]
    pipes = []
    for _ in range(3):
        reading, writing = os.pipe()
        if os.fork() == 0:
            with os.fdopen(writing, "w") as pipe:
                pipe.write(" ".join(str(next_id()) for _ in range(20_000)))
            os._exit(0)
        os.close(writing)
        pipes.append(os.fdopen(reading))
    ids += [next_id() for _ in range(20_000)]
    for pipe in pipes:
        ids += map(int, pipe.read().split())
        assert os.wait()[1] == 0
print(len(ids), len(set(ids)))
"""

Process = subprocess.Popen[str]


class Start:
    """Starts processes that talk over their pipes."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    def __call__(self, script: str, *arguments: object) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes; those that still run at the end of the test are killed."""
    start = Start()
    yield start
    for process in start.started:
        process.kill()
        process.communicate()


def heard(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def tell(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def finished(process: Process) -> list[str]:
    """The rest of what the process said, once it has ended well."""
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    return said.splitlines()


@contextmanager
def serving(start: Start, var: Path, *, replica: int = 1) -> Iterator[Process]:
    """A sequencer in a process of its own; it is told to stop by the end of its input."""
    server = start(SERVER, var, replica)
    assert heard(server) == "serving\n"
    yield server
    if server.poll() is None:
        os.kill(server.pid, signal.SIGCONT)
        finished(server)


def ends(ids: range) -> tuple[int, int]:
    return ids.start, ids.stop


def instances(var: Path) -> Sequence[Entry]:
    return DirectoryRegistry(Settings(var=var).run_dir).lookup("sequencer")


def client(var: Path, *, timeout_s: float = 30) -> Sequencer:
    settings = Settings(var=var)
    key = ServiceKey.load(settings.key_dir, "shop")
    source = mesh_source(DirectoryRegistry(settings.run_dir), key)
    return Sequencer(source, create_missing=True, timeout_s=timeout_s)


@pytest.fixture
def trusted(var: Path) -> Path:
    """A folder in which the sequencer trusts a service "shop"."""
    write_trust(Settings(var=var).key_dir, {BLUEPRINT.name: set(), "shop": RIGHTS})
    return var


def test_ten_million_ids_outlive_a_killed_server(start: Start, trusted: Path) -> None:
    """Four threads in each of three processes: no id twice, though the server dies half-way."""
    folders = [trusted / f"taken{number}" for number in range(PROCESSES)]
    each = -(-IDS // (PROCESSES * THREADS))
    with serving(start, trusted) as server:
        with client(trusted) as first:
            first.sequence(NAME).next_id()
        for folder in folders:
            folder.mkdir()
        workers = [start(CLIENT + TAKE, trusted, folder, each) for folder in folders]
        assert [heard(worker) for worker in workers] == ["half\n"] * PROCESSES
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        for worker in workers:
            tell(worker)

    with serving(start, trusted):
        lines = [line.split() for worker in workers for line in finished(worker)]
        with client(trusted) as last:
            fresh = last.sequence(NAME).next_ids(1_000)

    blocks = sorted([*((int(start), int(stop)) for start, stop in lines), *map(ends, fresh)])
    files = [path for folder in folders for path in folder.iterdir()]
    per_thread = [np.fromfile(path, dtype=np.int64) for path in files]
    assert all((np.diff(ids) > 0).all() for ids in per_thread), "rising for each thread"
    taken = np.sort(np.concatenate(per_thread))
    assert len(taken) >= IDS
    assert (np.diff(taken) > 0).all(), "no id twice"
    assert all(stop <= start for (_, stop), (start, _) in pairwise(blocks)), "no block twice"
    within = np.diff(np.searchsorted(taken, np.array(blocks)), axis=1)
    assert not within.any(), "no id of a block taken singly"


def test_children_of_a_client_process_take_ids_of_their_own(start: Start, trusted: Path) -> None:
    """A method bound before the fork goes on in parent and children, over the real service."""
    with serving(start, trusted):
        with client(trusted) as first:
            first.sequence(NAME).next_id()
        (said,) = finished(start(CLIENT + FORK, trusted))

    assert said == "81000 81000"


def test_servers_share_one_database(start: Start, trusted: Path) -> None:
    """Two server processes on one database grant neighbouring ranges and no number twice."""
    settings = Settings(var=trusted)
    proof = ((CALLER, ServiceKey.load(settings.key_dir, "shop").token()),)
    with serving(start, trusted), serving(start, trusted, replica=2):
        addresses = [entry.address for entry in instances(trusted)]
        sources = [GrpcRangeSource(address, lambda: proof) for address in addresses]
        sources[0].ensure(NAME, timeout_s=10)

        def lease(number: int) -> Lease:
            request = LeaseRequest(name=NAME, client_id=f"c{number}", size=3)
            return sources[number % 2].lease(request, timeout_s=10)

        with ThreadPoolExecutor(4) as pool:
            leases = list(pool.map(lease, range(300)))
        for source in sources:
            source.close()

    assert len(addresses) == 2
    assert sorted(held.first for held in leases) == [1 + 3 * n for n in range(300)]
    assert len({held.number for held in leases}) == 300


@pytest.mark.slow
@pytest.mark.parametrize("harm", [signal.SIGSTOP, signal.SIGKILL])
def test_strict_ids_rise_on_while_a_server_is_gone(
    start: Start, trusted: Path, harm: signal.Signals
) -> None:
    """The other server takes over within the three seconds that the caller waits."""
    with (
        serving(start, trusted) as first,
        serving(start, trusted, replica=2) as second,
        client(trusted, timeout_s=3.0) as sequencer,
    ):
        strict = sequencer.strict("shop.contract")
        taken = [strict.next_id() for _ in range(20)]
        for server in (first, second) if harm is signal.SIGSTOP else (first,):
            os.kill(server.pid, harm)
            taken += [strict.next_id() for _ in range(20)]
            os.kill(server.pid, signal.SIGCONT)
            taken += [strict.next_id() for _ in range(20)]

    assert taken == sorted(set(taken))
    assert taken[-1] <= len(taken) + 2, "at most what a silent server may have granted is lost"
