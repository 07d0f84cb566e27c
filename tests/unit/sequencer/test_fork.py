"""Forked children never reissue their parent's ids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PREAMBLE = """
import fcntl, multiprocessing, os, sys, threading
from sequencer.sdk import Lease, Sequencer

class FileSource:
    '''Ranges from a file that all processes share.'''

    def __init__(self, path):
        self.path = path

    def lease(self, request, *, timeout_s):
        with open(self.path, "r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)  # unlike flock, not shared with forked children
            number, last = map(int, file.read().split())
            file.seek(0)
            print(number + 1, last + request.size, file=file, flush=True)
        stop = last + request.size
        return Lease(number=number + 1, position=stop, first=last + 1, size=request.size)

    def give_back(self, tail, *, timeout_s):
        pass

    def ensure(self, name, *, strict, timeout_s):
        pass

    def close(self):
        pass

def child(work):
    '''Fork; answers the pid, and the end of a pipe with what `work` answered.'''
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading)
    with os.fdopen(writing, "w") as pipe:
        pipe.write(" ".join(map(str, work())))
    os._exit(0)

def answers(children):
    found = []
    for pid, pipe in children:
        found.append([int(word) for word in pipe.read().split()])
        assert os.waitpid(pid, 0)[1] == 0
    return found

path = sys.argv[1]
with open(path, "w") as file:
    file.write("0 0")
"""

CACHED_METHOD = """
with Sequencer(FileSource(path), timeout_s=20) as sequencer:
    ids = sequencer.sequence("test.ids")
    f = ids.next_id                      # bound before the fork, used after it
    mine = [f() for _ in range(10)]
    held = ids.stats().held
    assert held > 0
    children = [child(lambda: [ids.stats().held, *(f() for _ in range(2_000))]) for _ in range(4)]
    mine += [f() for _ in range(2_000)]
    theirs = answers(children)

assert [first for first, *_ in theirs] == [0] * 4, "a child holds nothing at first"
taken = [*mine, *(id_ for _, *ids in theirs for id_ in ids)]
assert len(set(taken)) == len(taken) == 4 * 2_000 + 2_010
"""

BUSY_THREADS = """
sys.setswitchinterval(1e-6)
with Sequencer(FileSource(path), survive_s=0, timeout_s=20) as sequencer:
    ids = sequencer.sequence("test.ids")
    stop, mine = threading.Event(), [[] for _ in range(3)]

    def work(out):
        while not stop.is_set():
            out.append(ids.next_id())

    threads = [threading.Thread(target=work, args=(out,)) for out in mine]
    for thread in threads:
        thread.start()
    theirs = []
    for _ in range(10):
        theirs += answers([child(lambda: [ids.next_id() for _ in range(200)]) for _ in range(2)])
    stop.set()
    for thread in threads:
        thread.join()

taken = [id_ for ids in (*mine, *theirs) for id_ in ids]
assert len(set(taken)) == len(taken)
"""

MULTIPROCESSING = """
sequencer = Sequencer(FileSource(path), timeout_s=20)
ids = sequencer.sequence("test.ids")
mine = ids.next_ids(500)

def work(_):
    return [ids.next_id() for _ in range(500)]

with multiprocessing.get_context("fork").Pool(3) as pool:
    theirs = pool.map(work, range(12), chunksize=1)

taken = [id_ for block in (*mine, *theirs) for id_ in block]
assert len(set(taken)) == len(taken) == 6_500
sequencer.close()
"""

GRANDCHILDREN = """
sequencer = Sequencer(FileSource(path), timeout_s=20)
ids = sequencer.sequence("test.ids")
first = ids.next_id()

def work():
    own = ids.next_id()
    return [own, *answers([child(lambda: [ids.next_id()])])[0]]

taken = [first, ids.next_id(), *answers([child(work)])[0]]
assert len(set(taken)) == len(taken) == 4
"""

CLIENT_IDS = """
class Telling(FileSource):
    def lease(self, request, *, timeout_s):
        told.append(request)
        return super().lease(request, timeout_s=timeout_s)

told = []
sequencer = Sequencer(Telling(path), timeout_s=20)
ids = sequencer.sequence("test.ids")
ids.next_id()
parent = told[0].client_id

def work():
    ids.next_id()
    return [told[-1].client_id != parent, told[-1].last is None]

assert answers([child(lambda: map(int, work()))]) == [[1, 1]]
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(CACHED_METHOD, id="a method bound before the fork"),
        pytest.param(BUSY_THREADS, id="forks while threads take ids"),
        pytest.param(MULTIPROCESSING, id="a pool of processes"),
        pytest.param(GRANDCHILDREN, id="a fork of a fork"),
        pytest.param(CLIENT_IDS, id="a child is a client of its own"),
    ],
)
def test_no_id_is_given_by_parent_and_child(script: str, tmp_path: Path) -> None:
    """Whichever way the process forks, every id comes once; checked in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + script, tmp_path / "counter"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_a_local_source_refuses_to_serve_a_child(tmp_path: Path) -> None:
    """Its copy in a child would grant the same ids again."""
    script = """
from sequencer.sdk import LocalRangeSource, SequencerError
sequencer = Sequencer(LocalRangeSource(), create_missing=True)
ids = sequencer.sequence("test.ids")
ids.next_id()

def work():
    try:
        ids.next_id()
    except SequencerError as error:
        assert "process that made it" in str(error)
        return [1]

assert answers([child(work)]) == [[1]]
"""
    test_no_id_is_given_by_parent_and_child(script, tmp_path)
