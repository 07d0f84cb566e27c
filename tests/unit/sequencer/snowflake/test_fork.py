"""A forked child makes ids of a worker of its own, with methods bound before too."""

from __future__ import annotations

import subprocess
import sys

import pytest

PREAMBLE = """
import os, socket, sys, threading
from datetime import UTC, datetime
from multiprocessing.connection import Client, Listener
from sequencer.sdk import Layout, Sequencer, LocalRangeSource, LocalWorkerSource, Worker

class Served:
    '''A local source that forked children share, by a socket of their own.'''

    def __init__(self):
        self.local = LocalWorkerSource()
        self.local.create("shop.event", Layout())
        self.listener = Listener(family="AF_UNIX", backlog=16)
        self.address = self.listener.address
        self.pid = os.getpid()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            with self.listener.accept() as connection:
                name, args, kwargs = connection.recv()
                connection.send(getattr(self.local, name)(*args, **kwargs))

    def _call(self, name, *args, **kwargs):
        if os.getpid() == self.pid:
            return getattr(self.local, name)(*args, **kwargs)
        with Client(self.address) as connection:
            connection.send((name, args, kwargs))
            return connection.recv()

    def acquire(self, *args, **kwargs):
        return self._call("acquire", *args, **kwargs)

    def renew(self, *args, **kwargs):
        return self._call("renew", *args, **kwargs)

    def release(self, *args, **kwargs):
        return self._call("release", *args, **kwargs)

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

layout = Layout()
sequencer = Sequencer(LocalRangeSource(), workers=Served(), timeout_s=30)
next_id = sequencer.snowflake("shop.event").next_id
"""

CACHED_METHOD = """
mine = [next_id() for _ in range(10)]
children = [child(lambda: [next_id() for _ in range(2_000)]) for _ in range(4)]
mine += [next_id() for _ in range(2_000)]
theirs = answers(children)

taken = [*mine, *(id_ for ids in theirs for id_ in ids)]
assert len(set(taken)) == len(taken) == 4 * 2_000 + 2_010
workers = [{layout.decode(id_).worker_id for id_ in ids} for ids in (mine, *theirs)]
assert all(len(worker) == 1 for worker in workers) and len(set.union(*workers)) == 5, workers
assert all(min(ids) > mine[9] for ids in theirs), "a child goes on above its parent"
sequencer.close()
"""

BUSY_THREADS = """
sys.setswitchinterval(1e-6)
stop, mine = threading.Event(), [[] for _ in range(3)]

def work(out):
    while not stop.is_set():
        out.append(next_id())

threads = [threading.Thread(target=work, args=(out,)) for out in mine]
for thread in threads:
    thread.start()
theirs = []
for _ in range(10):
    theirs += answers([child(lambda: [next_id() for _ in range(200)]) for _ in range(2)])
stop.set()
for thread in threads:
    thread.join()

taken = [id_ for ids in (*mine, *theirs) for id_ in ids]
assert len(set(taken)) == len(taken)
sequencer.close()
"""

GRANDCHILDREN = """
first = next_id()

def deeper():
    here = next_id()
    (below,) = answers([child(lambda: [next_id()])])
    return [here, *below]

((second, third),) = answers([child(deeper)])
assert first < second < third
assert len({layout.decode(id_).worker_id for id_ in (first, second, third)}) == 3
sequencer.close()
"""


@pytest.mark.parametrize(
    "script", [CACHED_METHOD, BUSY_THREADS, GRANDCHILDREN], ids=["cached", "busy", "grandchildren"]
)
def test_a_child_never_makes_an_id_of_its_parent(script: str) -> None:
    """Nor of its siblings: each process leases a worker of its own at its first id."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + script],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
