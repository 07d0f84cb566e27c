"""Whether, and when, a call that failed is sent again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import grpc

from mesh.resilience.budget import Budget
from mesh.resilience.counts import Counts
from mesh.resilience.levels import is_repeatable
from mesh.resilience.outcome import Failure

FIRST_BACKOFF_S: Final = 0.025
LAST_BACKOFF_S: Final = 1.0
"""Between tries, times a random number from 0 to 1."""
SPREAD: Final = 0.2
"""Of what a service asks to wait is added at most so much by chance: not all come at once."""

_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE
_BUSY: Final = frozenset({_UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})


class Retries:
    """Decides on further tries of the calls of one channel.

    Args:
        attempts: tries of a call, the first included.
        budget: pays for each try of a call that may have reached a server.
        counts: the numbers of the process.
        draw: a random number from 0 to 1.
    """

    def __init__(
        self,
        attempts: int,
        budget: Budget,
        counts: Counts,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._attempts = attempts
        self.budget = budget
        self._counts = counts
        self._draw = draw

    def wait_s(
        self,
        path: str,
        failure: Failure,
        tried: int,
        *,
        left_s: float,
        now: float,
        elsewhere: bool,
    ) -> float | None:
        """Seconds until the call is to be sent again; None: it is not.

        The first further try goes out at once when it goes to another process.

        Args:
            path: "/package.Service/Method".
            failure: of the last try.
            tried: how often it was sent.
            left_s: until its deadline; no try begins after it.
            now: the present.
            elsewhere: whether there is another process.
        """
        if tried >= self._attempts or not may_repeat(path, failure):
            return None
        wait_s = self._backoff_s(failure, tried, elsewhere=elsewhere)
        if wait_s >= left_s:
            return None
        if not failure.is_unsent and not self.budget.pay(now):
            self._counts.unaffordable.add()
            return None
        self._counts.retries.add()
        return wait_s

    def _backoff_s(self, failure: Failure, tried: int, *, elsewhere: bool) -> float:
        asked = failure.retry_after_s
        if asked is not None:
            return asked * (1 + SPREAD * self._draw())
        if tried == 1 and elsewhere:
            return 0.0
        return self._draw() * min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (tried - 1))


def may_repeat(path: str, failure: Failure) -> bool:
    """Whether sending a call again does no harm, and may do good.

    A service that answers is believed: only when it says when to come again, it is called
    again. A call that may have run is repeated only if its contract allows it.
    """
    if failure.is_answered:
        is_invited = failure.code in _BUSY and failure.retry_after_s is not None
        return is_invited and is_repeatable(path)
    return failure.code is _UNAVAILABLE and (failure.is_unsent or is_repeatable(path))


def may_try_again(error: Any, path: str) -> bool:
    """Whether a call of blocking grpc that failed may be sent to another process at once."""
    failure = Failure.of(error)
    return not failure.is_answered and may_repeat(path, failure)
