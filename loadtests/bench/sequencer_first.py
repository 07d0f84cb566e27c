"""A program's first id: client and server have just started, and the store is 20 ms away.

`python -m loadtests.bench.sequencer_first NAME` is such a program.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import asyncmy

from loadtests.bench._figure import Direction
from loadtests.bench.sequencer_stage import BENCH, prepare, served, settings_in
from loadtests.proxy import Proxy
from mesh import DirectoryRegistry, Settings
from mesh.settings import load, to_environ
from mesh.storage import MySQLAddress, address
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT
from sequencer.sdk import GrpcRangeSource, Sequencer, mesh_source

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run
    from loadtests.servers import MariaDb

ROUND_TRIP_S: Final = 0.020
TRIES: Final = 4
PINGS: Final = 15
MAX_MS: Final = 60.0
TIMEOUT_S: Final = 60.0


def first_id(run: Run, folder: Path, mariadb: MariaDb) -> Figure:
    """From the call of `next_id()` of a client that was just made, until it answers."""
    names = (f"bench.cold{number}" for number in count())
    with Proxy(mariadb.address) as proxy:
        settings = settings_in(folder / "cold", mariadb.url_by(proxy.port))
        prepare(settings)
        delay_s, round_trip_s = asyncio.run(_delay(settings, proxy))
        with served(settings) as server:

            def measured() -> float:
                proxy.heal()
                name = next(names)
                _create(settings, name)
                server.restart()
                proxy.delay(delay_s)
                return _first_of_a_program(settings, name)

            return run.absolute(
                "first id from cold, store 20 ms away",
                measured,
                unit="ms",
                bar=MAX_MS,
                direction=Direction.AT_MOST,
                note=f"client and server just started; a round trip {round_trip_s * 1e3:.1f} ms",
            )


async def _delay(settings: Settings, proxy: Proxy) -> tuple[float, float]:
    """How long the proxy is to delay, so that a round trip takes as long as it should."""
    place = address(settings, BLUEPRINT.name)
    assert isinstance(place, MySQLAddress)
    driver = await asyncmy.connect(
        host=place.host, port=place.port, user=place.user, db=place.database
    )
    delay_s = ROUND_TRIP_S / 2
    for _ in range(TRIES):
        proxy.delay(delay_s)
        round_trip_s = median([await _timed(driver.ping()) for _ in range(PINGS)])
        if round_trip_s <= ROUND_TRIP_S * 1.03:
            break
        delay_s -= (round_trip_s - ROUND_TRIP_S) / 2
    await driver.ensure_closed()
    return delay_s, round_trip_s


async def _timed(ping: Awaitable[None]) -> float:
    began = time.perf_counter()
    await ping
    return time.perf_counter() - began


def _create(settings: Settings, name: str) -> None:
    source = _source(settings)
    source.ensure(name, timeout_s=TIMEOUT_S)
    source.close()


def _first_of_a_program(settings: Settings, name: str) -> float:
    done = subprocess.run(  # noqa: S603 - this module
        [sys.executable, "-m", "loadtests.bench.sequencer_first", name],
        env={**os.environ, **to_environ(settings)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=TIMEOUT_S,
    )
    return float(done.stdout)


def _source(settings: Settings) -> GrpcRangeSource:
    registry = DirectoryRegistry(settings.run_dir)
    return mesh_source(registry, ServiceKey.load(settings.key_dir, BENCH))


def _first(name: str) -> float:
    """Milliseconds of the first id."""
    with Sequencer(_source(load())) as sequencer:
        sequence = sequencer.sequence(name)
        began = time.perf_counter()
        sequence.next_id()
        return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    print(_first(sys.argv[1]))
