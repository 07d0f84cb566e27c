"""What a channel adds to a call: proofs, what the current request carries, trace, deadline."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from mesh import context as wire
from mesh.context import Metadata
from mesh.lane.blocks import Shared
from mesh.lane.frames import Pair
from mesh.telemetry import current_trace

DEFAULT_TIMEOUT_S: Final = 10.0
MAX_SHARED: Final = 1_024
"""Different callers, users and purposes whose metadata a channel keeps ready."""

_KEY = re.compile(r"[0-9a-z_.-]+")

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
        self._shared: dict[Any, Shared | None] = {}

    def pairs(self, given: Any) -> list[Pair]:
        """All metadata of a call made now, `given` included."""
        pairs: list[Pair] = [*self._proofs(), *wire.current().outgoing(), *(given or ())]
        trace = current_trace()
        if trace is not None:
            pairs.append((wire.TRACEPARENT, trace.header))
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
        try:
            return self._shared[key]
        except KeyError:
            return self._add(key, [*proofs, *current.repeated()])

    def own(self, given: Any) -> Sequence[Pair]:
        """Of it, what is this call's own, without the trace.

        Raises:
            ValueError: `given` cannot be sent.
        """
        chain = wire.current().chain
        own = checked(given) if given else ()
        return (*own, (wire.CHAIN, chain.SerializeToString())) if chain.ByteSize() else own

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

    def _add(self, key: Any, pairs: list[Pair]) -> Shared | None:
        while len(self._shared) >= MAX_SHARED:
            del self._shared[next(iter(self._shared))]
        found = self._shared[key] = Shared(pairs) if pairs else None
        return found


def checked(metadata: Any) -> Sequence[Pair]:
    """Metadata that a program gives, once it is sure that it can be sent.

    Raises:
        ValueError: a key or a value is not one of gRPC metadata.
    """
    pairs = tuple((key, value) for key, value in metadata)
    for key, value in pairs:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ValueError(f"metadata was invalid: {key!r} is no key of lower-case ASCII")
        is_text = isinstance(value, str) and value.isascii() and value.isprintable()
        if not (isinstance(value, bytes) if key.endswith("-bin") else is_text):
            kind = "bytes" if key.endswith("-bin") else "printable ASCII text"
            raise ValueError(f"metadata was invalid: the value of {key!r} must be {kind}")
    return pairs
