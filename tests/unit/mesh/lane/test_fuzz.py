"""Whatever a peer sends, a lane does not crash, does not swell, and leaves no call hanging."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from mesh.lane import hello as opening
from mesh.lane.frames import MAX_BATCH, LaneError, client_batch, server_batch
from mesh.lane.socket import LENGTH, SocketCarrier
from tests.unit.mesh.lane.fuzzing import PROPERTIES, check
from tests.unit.mesh.lane.world import World

MIB = 1 << 20
SPARE_MIB = 256
"""What a process that fuzzes may use beyond what it has when it begins."""

_CHILD = f"""
import resource, sys
from pathlib import Path
from tests.unit.mesh.lane.fuzzing import PROPERTIES, check
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {SPARE_MIB * MIB},) * 2)
for name in PROPERTIES:
    check(name, 3_000)
"""

BOMBS = {
    "an endless list": b"\x94\xdd\xff\xff\xff\xff\x92\x01\xa1x",
    "an endless list of control": b"\x94\x90\x90\x90\xdd\xff\xff\xff\xff\x93\x01\x01\xa0",
    "endless bytes": b"\x94\x90\x91\x92\x01\xc6\xff\xff\xff\xff\x00",
    "an endless text": b"\x94\x91\x92\x01\xdb\xff\xff\xff\xff\x00",
    "an endless map": b"\xdf\xff\xff\xff\xff\x00",
    "deep nesting": b"\x94" + b"\x91" * 100_000,
    "a million blocks": b"\x94\x90\xdd" + (300_000).to_bytes(4, "big") + b"\x92\x01\x90" * 300_000,
    "a million controls": (
        b"\x94\x90\x90\x90\xdd" + (250_000).to_bytes(4, "big") + b"\x93\x01\x01\xa0" * 250_000
    ),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_lane_bears_whatever_comes(name: str) -> None:
    """The property of that name in `fuzzing` holds for what hypothesis thinks of."""
    check(name, 100)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_lane_bears_whatever_comes_for_long_and_in_little_memory() -> None:
    """The same with many examples, in a process that may not grow."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _CHILD], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_size_that_is_claimed_takes_no_memory(bomb: str) -> None:
    """What a length promises is not set aside before it has come; small frames are counted."""
    readers: tuple[Callable[[Any], Any], ...] = (
        client_batch,
        server_batch,
        lambda data: opening.read(opening.ServerHello, data),
        lambda data: opening.read(opening.ClientHello, data),
    )
    tracemalloc.start()
    try:
        for reader in readers:
            with pytest.raises(LaneError):
                reader(BOMBS[bomb])
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [MAX_BATCH + 1, (1 << 32) - 1])
def test_a_batch_that_is_too_long_is_refused_before_it_is_read(size: int) -> None:
    """Its length is enough; not a byte of it is kept."""
    with World() as world:
        closed: list[bool] = []
        transport = _transport(closed)
        carrier = world.within(SocketCarrier, lambda _: world.server)
        world.within(carrier.connection_made, transport)
        world.within(carrier.data_received, size.to_bytes(LENGTH, "little") + b"beginning")
        assert closed == [True]
        assert not carrier._rest
        world.within(carrier.connection_lost, None)


def test_before_the_hello_a_client_may_send_little() -> None:
    """A stranger cannot make the server hold a whole batch."""
    with World() as world:
        closed: list[bool] = []
        carrier = world.within(SocketCarrier, lambda _: world.server)
        world.within(carrier.connection_made, _transport(closed))
        size = opening.MAX_HELLO + 1
        world.within(carrier.data_received, size.to_bytes(LENGTH, "little"))
        assert closed == [True]
        world.within(carrier.connection_lost, None)


def _transport(closed: list[bool]) -> Any:
    class Transport:
        def write(self, data: bytes) -> None:
            pass

        def close(self) -> None:
            closed.append(True)

        def abort(self) -> None:
            pass

    return Transport()
