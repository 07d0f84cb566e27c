"""Use case of bindings: which external contact a customer is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from centers.wecom.domain import Binding, repeated
from centers.wecom.errors import WecomReason
from mesh.clock import Clock
from mesh.errors import MeshError


class BindingStore(Protocol):
    """Where bindings are held."""

    async def bind(self, bindings: Sequence[Binding], now: datetime) -> None:
        """Store all bindings or none; those of the same customers are replaced.

        Raises:
            MeshError: CONTACT_BOUND.
        """


class Contacts:
    """Records verified bindings; without one no external contact is a customer."""

    def __init__(self, store: BindingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def bind(self, bindings: Sequence[Binding]) -> int:
        """Store the bindings and answer how many.

        Raises:
            MeshError: BINDINGS_INVALID or CONTACT_BOUND; none is stored then.
        """
        violations = list(repeated(bindings))
        if violations:
            raise MeshError(WecomReason.BINDINGS_INVALID, violations=violations)
        await self._store.bind(bindings, self._clock.now())
        return len(bindings)
