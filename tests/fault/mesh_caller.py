"""The caller of a round of the mesh: `python -m tests.fault.mesh_caller FOLDER PORT HOW CARELESS`.

It finds the ledger by the registry, calls it at a steady pace whatever becomes of earlier
calls, and notes each call in `FOLDER/teller.jsonl`, until SIGTERM; then it waits for what is
under way.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Any, Final

import grpc
import uvloop

from cli.serve import open_registry
from mesh.app import host_id
from mesh.channel import Channel, registered
from mesh.context import CALLER
from mesh.registry import Registry
from mesh.resilience import Resilience
from mesh.settings import Settings
from mesh.tls import Certificate, Credentials
from mesh.tokens import ServiceKey
from tests.fault.history import History
from tests.fault.lane_calls import is_surely_not_run
from tests.fault.mesh_contract import ADD, READ, TIMEOUT_S, contract, message
from tests.fault.mesh_site import LEDGER, TELLER, Site
from tests.fault.victims import serving

LEDGERS: Final = 3
PACE_S: Final = 0.005
"""Between two calls; they take turns."""
WARM: Final = 60
"""Calls before the first that is noted: connections stand, and all have been called."""
LOOK_S: Final = 0.02

REPEATS: Final = "repeats"
"""Careless: sends again whatever was lost, also what has an effect."""
GIVES_UP: Final = "gives-up"
"""Careless: never sends anything again."""
CARELESS: Final = (REPEATS, GIVES_UP)

METHODS: Final = {"read": READ, "add": ADD}


class Teller:
    """Calls and notes.

    Args:
        channel: to the ledger.
        history: gets each call.
    """

    def __init__(self, channel: Channel, history: History) -> None:
        self._history = history
        self._asked, answer = message("Asked"), message("Answer")
        self._methods = {
            kind: channel.unary_unary(path, self._asked.SerializeToString, answer.FromString)
            for kind, path in METHODS.items()
        }

    async def warm(self) -> None:
        """Return once calls are answered."""
        for _ in range(WARM):
            await self._methods["read"](self._asked(), timeout=TIMEOUT_S)

    async def run(self, stop: asyncio.Event) -> None:
        """Call until `stop`, then until what is under way has ended."""
        async with asyncio.TaskGroup() as group:
            for kind in cycle(METHODS):
                group.create_task(self._call(kind))
                await asyncio.sleep(PACE_S)
                if stop.is_set():
                    return

    async def _call(self, kind: str) -> None:
        asked = self._asked(request_id=secrets.token_hex(8))
        with self._history.operation(kind, asked.request_id) as operation:
            try:
                answer = await self._methods[kind](asked, timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                end: Any = operation.failed if is_surely_not_run(error) else operation.unknown
                end(f"{error.code().name}: {error.details()}")
            else:
                operation.ok(answer.instance)


async def call(site: Site, careless: str) -> None:
    """Be the caller until SIGTERM."""
    stop, settings = asyncio.Event(), site.settings
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    key = ServiceKey.load(settings.key_dir, TELLER)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry(settings, key))
        channel = await _channel(stack, settings, registry, key, careless)
        history = stack.enter_context(History(site.folder / f"{TELLER}.jsonl", process=TELLER))
        teller = Teller(channel, history)
        while len(registry.lookup(LEDGER)) < LEDGERS:  # noqa: ASYNC110 - tables have no events
            await asyncio.sleep(LOOK_S)
        await teller.warm()
        serving()
        await teller.run(stop)


async def _channel(
    stack: AsyncExitStack, settings: Settings, registry: Registry, key: ServiceKey, careless: str
) -> Channel:
    """A channel as a service has it."""
    certificate = Certificate.of(settings, TELLER)
    tls = await stack.enter_async_context(Credentials(certificate)) if certificate else None
    options = Resilience.of(settings)
    channel = Channel(
        LEDGER,
        registered(registry, LEDGER, host_id()),
        lambda: ((CALLER, key.token()),),
        prove=key.sign,
        tls=tls,
        resilience=Resilience(attempts=1) if careless == GIVES_UP else options,
    )
    return await stack.enter_async_context(channel)


def main(folder: str, port: str, how: str, careless: str = "") -> None:
    """Call with uvloop."""
    site = Site.told(folder, port, how)
    site.log(TELLER)
    contract(add_is_repeatable=careless == REPEATS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(call(site, careless))


if __name__ == "__main__":
    main(*sys.argv[1:])
