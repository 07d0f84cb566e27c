"""Use cases of the Data Ark: take in customers, show them masked, account for every look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from centers.ark.access import Access, Entry, follows
from centers.ark.domain import (
    Field,
    Held,
    Mask,
    Masked,
    Record,
    Statistics,
    mask_for,
    masked,
    repeated,
)
from centers.ark.errors import ArkReason
from mesh import seal
from mesh.clock import Clock
from mesh.errors import MeshError, Violation


class Vault(Protocol):
    """Where customers lie in clear."""

    async def tokens(self, numbers: Collection[str]) -> Mapping[str, int]:
        """Tokens of the customer numbers that are known."""

    async def save(self, records: Sequence[Record], spare: Sequence[int]) -> Sequence[int]:
        """Store all records or none, and answer their tokens in order.

        A known customer is replaced and keeps its token; a new one gets one of `spare`.
        """

    async def held(self, customer_ids: Collection[int]) -> Mapping[int, Held]:
        """What is held under the tokens that are known."""

    async def statistics(self) -> Statistics:
        """How much is held."""


class AccessLog(Protocol):
    """Where accesses are recorded."""

    async def record(self, access: Access) -> None:
        """Append the access; it is durable on return."""

    def entries(self) -> AsyncIterator[Sequence[Entry]]:
        """The whole log in blocks, oldest first."""


class TokenSource(Protocol):
    """Where new tokens come from."""

    async def take(self, count: int) -> Sequence[int]:
        """`count` tokens that were never given out before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks and why, as the access log keeps it."""

    user: str
    service: str
    purpose: str
    trace_id: str


class Ark:
    """Takes in customers in clear and shows them masked."""

    def __init__(
        self, vault: Vault, accesses: AccessLog, tokens: TokenSource, clock: Clock
    ) -> None:
        self._vault = vault
        self._accesses = accesses
        self._tokens = tokens
        self._clock = clock

    async def take_in(self, records: Sequence[Record]) -> Sequence[int]:
        """Store the records and answer their tokens in order.

        Raises:
            MeshError: DUPLICATE_CUSTOMER, naming the places.
        """
        numbers = [record.cif for record in records]
        _refuse_repeated(numbers)
        known = await self._vault.tokens(numbers)
        spare = await self._tokens.take(len(records) - len(known))
        return await self._vault.save(records, spare)

    async def show(
        self, customer_ids: Sequence[int], fields: Sequence[Field], asker: Asker
    ) -> Sequence[Masked]:
        """The fields of the customers that are known, masked, in the order asked for.

        The access is on record before anything is read.

        Raises:
            MeshError: FIELD_DENIED.
        """
        masks = _masks(fields)
        access = Access(
            time=self._clock.now(),
            user=asker.user,
            service=asker.service,
            purpose=asker.purpose,
            customers=len(customer_ids),
            fields=tuple(masks),
            trace_id=asker.trace_id,
        )
        await self._accesses.record(access)
        held = await self._vault.held(customer_ids)
        return [masked(held[token], masks) for token in customer_ids if token in held]

    async def statistics(self) -> Statistics:
        """How much the Ark holds."""
        return await self._vault.statistics()

    async def check_access_log(self) -> seal.LogCheck:
        """Follow the chain of the access log from its start to the first break."""
        return await seal.check(self._accesses.entries(), follows)


def _refuse_repeated(numbers: Sequence[str]) -> None:
    violations = [
        Violation(f"records[{index}].cif", f"the same number as records[{before}].cif")
        for index, before in repeated(numbers)
    ]
    if violations:
        raise MeshError(ArkReason.DUPLICATE_CUSTOMER, violations=violations)


def _masks(fields: Sequence[Field]) -> Mapping[str, Mask]:
    masks = {field.name: mask_for(field) for field in fields}
    denied = [name for name, mask in masks.items() if mask is None]
    if denied:
        raise MeshError(ArkReason.FIELD_DENIED, metadata={"fields": ",".join(denied)})
    return {name: mask for name, mask in masks.items() if mask is not None}
