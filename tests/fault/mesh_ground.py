"""The ground of a round of the mesh: a registry, three processes of a service, who calls them."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from loadtests.servers import free_port
from mesh.registry.addresses import NAME as REGISTRY
from tests.fault.history import History, Operation, moments, operations
from tests.fault.mesh_caller import LEDGERS
from tests.fault.mesh_site import TELLER, Site
from tests.fault.victims import Worker

CALM_S: Final = 2.0
"""Calls before the first fault, and after all is healed."""
FAULTS: Final = "nemesis.jsonl"


class Ground:
    """The processes of a round, and what is done to them; a context manager.

    Args:
        folder: short, for sockets; its `run` is the ground's.
        seed: chooses who is hurt.
        is_far: whether they are on two hosts, as far as they know.
        careless: what is wrong with who calls; empty: nothing.
    """

    def __init__(self, folder: Path, *, seed: int, is_far: bool, careless: str = "") -> None:
        run = folder / "run"
        run.mkdir(mode=0o700)
        self.site = Site.fresh(run, free_port(), is_far=is_far)
        self.registry = self._server(REGISTRY)
        self.ledgers = [self._server(str(number)) for number in range(1, LEDGERS + 1)]
        self._chosen = seed % LEDGERS
        self._teller = Worker(
            "tests.fault.mesh_caller", *self.site.arguments, careless, log=run / "teller.log"
        )
        self._history = History(run / FAULTS, seed=seed, python=sys.version.split()[0])
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._history)
            stack.enter_context(self.registry)
            with ThreadPoolExecutor(LEDGERS + 1) as pool:  # the teller waits for the ledgers
                for _ in pool.map(stack.enter_context, [*self.ledgers, self._teller]):
                    pass
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def victim(self) -> Worker:
        """The ledger that is hurt, where only one is."""
        return self.ledgers[self._chosen]

    def note(self, what: str) -> None:
        """Note that something is done now."""
        self._history.fault(what)

    def wait(self, seconds: float) -> None:
        """Let calls go on."""
        time.sleep(seconds)

    def weather(self, what: str) -> None:
        """Make the links to the victim as one of `mesh_service.WEATHERS`."""
        self.site.weather(self._chosen + 1).write_text(what)
        self.victim._signal(signal.SIGUSR1)

    def end(self) -> None:
        """Have the caller end once all its calls have."""
        self._teller.stop()

    # What was seen.

    def calls(self) -> Sequence[Operation]:
        """All calls that were made."""
        return operations([self.site.folder / f"{TELLER}.jsonl"])

    def effects(self) -> Sequence[str]:
        """The requests that had an effect, as often as they had it."""
        return self.site.effects.read_text().splitlines()

    def faults(self) -> Sequence[tuple[str, float]]:
        """What was done, and when."""
        return moments(self.site.folder / FAULTS)

    def _server(self, name: str) -> Worker:
        log = self.site.folder / f"server-{name}.log"
        return Worker("tests.fault.mesh_service", name, *self.site.arguments, log=log)
