"""Who is served next: callers take turns, so that one who sends much delays nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Final, Protocol

PER_ROUND: Final = 32
"""Calls that are begun, of all callers together, before the loop looks at its sockets again."""
WHILE_SHARED: Final = 8
"""The same while several processes send: a call that comes next waits for those begun before."""
SHARED_S: Final = 0.1
"""How long a process that has sent counts as one that sends."""


class Queue(Protocol):
    """Calls of one lane that have arrived and wait to be begun."""

    @property
    def caller(self) -> str:
        """Whose calls they are; lanes of one caller share its turn."""

    @property
    def sender(self) -> str:
        """The process of that caller."""

    def start(self, most: int) -> bool:
        """Begin at most so many; whether more wait."""


class Turns:
    """Gives each caller that has calls waiting an equal part of every round."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._loop = asyncio.get_running_loop()
        self._context = Context()  # calls begin with nothing of those before them
        self._waiting: dict[str, dict[Queue, None]] = {}
        self._is_set = False
        self._sender = ""
        self._shared_until = 0.0

    def ready(self, queue: Queue) -> None:
        """Calls wait in `queue`."""
        if queue.sender != self._sender:
            self._sends(queue.sender)
        self._waiting.setdefault(queue.caller, {})[queue] = None
        if not self._is_set:
            self._is_set = True
            self._loop.call_soon(self._round, context=self._context)

    def alone(self, queue: Queue) -> None:
        """One call waits in `queue`, whose lane has no other under way: it begins at once."""
        if queue.sender != self._sender:
            self._sends(queue.sender)
        self._context.run(queue.start, 1)

    def _sends(self, sender: str) -> None:
        """Another process sends than the last time."""
        if self._sender:
            self._shared_until = self._monotonic() + SHARED_S
        self._sender = sender

    def _round(self) -> None:
        self._is_set = False
        is_shared = self._shared_until > self._monotonic()
        share = max(1, (WHILE_SHARED if is_shared else PER_ROUND) // len(self._waiting))
        for caller, queues in list(self._waiting.items()):
            _begin(queues, share)
            if not queues:
                del self._waiting[caller]
        if self._waiting:
            self._is_set = True
            self._loop.call_soon(self._round, context=self._context)


def _begin(queues: dict[Queue, None], share: int) -> None:
    """Begin so many calls of one caller; of its lanes, who had more of it comes last next time."""
    each, more = divmod(share, len(queues))
    for index, queue in enumerate(list(queues)):
        had_more = index < more
        if not each and not had_more:
            return
        waits = queue.start(each + had_more)
        if had_more or not waits:
            del queues[queue]
        if had_more and waits:
            queues[queue] = None
