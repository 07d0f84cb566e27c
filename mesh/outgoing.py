"""What a channel adds to a call: proofs, what the current request carries, trace, deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from mesh import context as wire
from mesh.context import Metadata
from mesh.deadline import Deadline
from mesh.lane.blocks import Shared
from mesh.lane.frames import Pair
from mesh.lane.metadata import checked
from mesh.telemetry import current_trace

DEFAULT_TIMEOUT_S: Final = 10.0
MAX_SHARED: Final = 1_024
"""Different callers, users and purposes whose metadata a channel keeps ready."""

_NO_CHAIN: Final = wire.EMPTY.chain

Proofs = Callable[[], Metadata]


def no_proofs() -> Metadata:
    """The proofs of a client that has none."""
    return ()


def bearer(token: str) -> Proofs:
    """The proof of a user: his access token."""
    proofs: Metadata = ((wire.AUTHORIZATION, f"Bearer {token}"),)
    return lambda: proofs


class Outgoing:
    """The metadata and the deadlines of a channel's calls.

    Args:
        proofs: asked at each call; the metadata that proves who calls.
    """

    def __init__(self, proofs: Proofs) -> None:
        self._proofs = proofs
        self._shared: dict[Any, Shared] = {}

    def pairs(self, given: Any) -> list[Pair]:
        """All metadata of a call made now, `given` included."""
        pairs: list[Pair] = [*self._proofs(), *wire.current().outgoing(), *(given or ())]
        trace = current_trace()
        if trace is not None:
            pairs.append((wire.TRACEPARENT, trace.header))
        return pairs

    def carried(self, given: Any) -> list[Pair]:
        """Of it, what a route may decide by: all but proofs of ours, chain and trace."""
        pairs = wire.current().repeated()
        if given:
            pairs += given
        return pairs

    def prepared(
        self, timeout_s: float | None, given: Any
    ) -> tuple[float, Shared | None, Sequence[Pair]]:
        """What a call made now takes along, beside its trace.

        Answers when it must be answered, in seconds of `time.monotonic()`; the metadata that
        other calls carry as well, None when there are none; and its own.

        Raises:
            TypeError, ValueError: `given` cannot be sent.
        """
        current = wire.current()
        key = (
            self._proofs(),
            current.token,
            current.on_behalf_of,
            current.purpose,
            current.business_date,
        )
        shared = self._shared.get(key)
        if shared is None or shared.stale_at <= time.time():
            shared = self._add(key, [*key[0], *current.repeated()])
        own = checked(given) if given else ()
        if current.chain is not _NO_CHAIN and current.chain.ByteSize():
            own = (*own, (wire.CHAIN, current.chain.SerializeToString()))
        due = time.monotonic() + _timeout_s(timeout_s, current.deadline)
        return due, shared if shared.metadata else None, own

    def timeout_s(self, given: float | None) -> float:
        """Seconds that a call made now may take."""
        return _timeout_s(given, wire.current().deadline)

    def _add(self, key: Any, pairs: list[Pair]) -> Shared:
        self._shared.pop(key, None)
        while len(self._shared) >= MAX_SHARED:
            del self._shared[next(iter(self._shared))]
        found = self._shared[key] = Shared(pairs)
        return found


def _timeout_s(given: float | None, deadline: Deadline | None) -> float:
    if deadline is None:
        return DEFAULT_TIMEOUT_S if given is None else given
    left = deadline.budget_s(given)
    assert left is not None
    return left
