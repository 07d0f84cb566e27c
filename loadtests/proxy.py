"""A bad network for programs that have no event loop of their own: a link in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, Self, TypeVar

from mesh.testing import Link, Way

__all__ = ["Proxy", "Way"]

_ANSWER_S: Final = 5.0

T = TypeVar("T")


class Proxy:
    """A `mesh.testing.Link` that lives in a thread of its own.

    A context manager; what it does to the network can be changed at any time from any
    thread, and holds for connections that are open already.

    Args:
        target: host and port of the server, or its address as `Link` takes it.
        seed: of the jitter.
    """

    def __init__(self, target: tuple[str, int] | str, *, seed: int = 0) -> None:
        address = target if isinstance(target, str) else f"{target[0]}:{target[1]}"
        self._link = Link(address, seed=seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ask(self._link.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._ask(self._link.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """Where clients connect, of the same kind as the target."""
        return self._link.address

    @property
    def port(self) -> int:
        """Its port, when it is one over TCP."""
        return int(self.address.rpartition(":")[2])

    @property
    def accepted(self) -> int:
        """Connections that were taken so far."""
        return self._link.accepted

    @property
    def passed(self) -> Mapping[Way, int]:
        """Bytes that were passed on so far."""
        return self._link.passed

    def delay(self, seconds: float, *, jitter_s: float = 0.0, bytes_per_s: float = 0.0) -> None:
        """Let all data arrive later, as `Link.delay` says."""
        self._do(partial(self._link.delay, seconds, jitter_s=jitter_s, bytes_per_s=bytes_per_s))

    def hold(self, *ways: Way) -> None:
        """Half open: connections stay and are taken, and nothing comes through.

        Args:
            ways: only these; `Way.BACK`: the server hears all and is not heard.
        """
        self._do(partial(self._link.half_open, *ways))

    def refuse(self) -> None:
        """Cut what is open, and each new connection at once."""
        self._do(self._link.cut)

    def cut(self) -> None:
        """Reset all connections that are open; new ones are taken."""
        self._do(self._link.reset)

    def heal(self) -> None:
        """Pass everything on at once again, also what was held."""
        self._do(self._link.mend)

    def _do(self, change: Callable[[], None]) -> None:
        async def done() -> None:
            change()

        self._ask(done())

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)
