"""What a channel adds to a call: proofs, what the current request carries, trace, deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from mesh import context as wire
from mesh.context import Metadata
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

    def shared(self) -> Shared | None:
        """Of it, what other calls carry as well; None when there is nothing."""
        proofs, current = self._proofs(), wire.current()
        key = (
            proofs,
            current.token,
            current.on_behalf_of,
            current.purpose,
            current.business_date,
        )
        found = self._shared.get(key)
        if found is None or found.stale_at <= time.time():
            found = self._add(key, [*proofs, *current.repeated()])
        return found if found.metadata else None

    def own(self, given: Any) -> Sequence[Pair]:
        """Of it, what is this call's own, without the trace.

        Raises:
            TypeError, ValueError: `given` cannot be sent.
        """
        chain = wire.current().chain
        own = checked(given) if given else ()
        if chain is _NO_CHAIN or not chain.ByteSize():
            return own
        return (*own, (wire.CHAIN, chain.SerializeToString()))

    def timeout_s(self, given: float | None) -> float:
        """Seconds that a call made now may take."""
        deadline = wire.current().deadline
        own = DEFAULT_TIMEOUT_S if given is None and deadline is None else given
        bound = deadline.budget_s(own) if deadline else own
        assert bound is not None
        return bound

    def due(self, given: float | None) -> float:
        """When a call made now must be answered, in seconds of `time.monotonic()`."""
        return time.monotonic() + self.timeout_s(given)

    def _add(self, key: Any, pairs: list[Pair]) -> Shared:
        self._shared.pop(key, None)
        while len(self._shared) >= MAX_SHARED:
            del self._shared[next(iter(self._shared))]
        found = self._shared[key] = Shared(pairs)
        return found
