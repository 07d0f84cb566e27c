"""Whose customer somebody is, and who may therefore see him: the one rule for all centres."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import grpc

from engine.mesh.v1 import ownership_pb2, ownership_pb2_grpc, policy_pb2
from mesh.clock import Clock
from mesh.context import EMPTY, Principal, Scope, using

KEPT_S: Final = 2.0
"""How long an owner is remembered: a transfer shows within this time."""

MAX_KEPT: Final = 50_000
"""Owners remembered; those that were learned first leave first."""

BATCH: Final = 5_000
"""Customers asked for in one call, as the contract bounds it."""

TIMEOUT_S: Final = 1.5
"""The longest that one look-up takes, whoever waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A member of staff who works with a customer, his branch (0: head office) and his part."""

    staff_id: int
    share_bp: int
    branch_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who looks after a customer.

    `kind` is the contract's `OwnerKind`, `branch_id` the primary owner's branch.
    `shares` begins with the primary owner and sums to 10,000 basis points; it is
    empty, and `owner_id` 0, when nobody owns the customer.
    """

    customer_id: int
    kind: ownership_pb2.OwnerKind.ValueType
    owner_id: int
    branch_id: int
    shares: tuple[Share, ...]

    def is_within(self, scope: Scope, *, staff_id: int, branch_id: int) -> bool:
        """Whether a caller with these numbers reaches the customer in this scope.

        The own book is that of the primary owner and of everybody with a share;
        the branch is the primary owner's. A number of 0 never matches.
        """
        if scope == policy_pb2.SCOPE_ALL:
            return True
        if scope == policy_pb2.SCOPE_BRANCH:
            return branch_id != 0 and branch_id == self.branch_id
        if scope == policy_pb2.SCOPE_OWN_BOOK:
            return staff_id != 0 and staff_id in self._staff()
        return False

    def _staff(self) -> Iterable[int]:
        return (self.owner_id, *(share.staff_id for share in self.shares))


class OwnerSource(Protocol):
    """Where owners are found."""

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        """Owners by customer; customers that are unknown are left out."""


class CustomerScope:
    """Answers whether a customer is within a caller's reach.

    A `mesh.service.ScopeResolver` for methods whose `scope_field` is a customer's
    token. Customers and scopes that are unknown are out of reach.
    """

    def __init__(self, source: OwnerSource) -> None:
        self._source = source

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        owner = (await self._source.owners((row,))).get(row)
        return owner is not None and owner.is_within(
            scope, staff_id=principal.staff_id, branch_id=principal.branch_id
        )


class Ownerships:
    """Owners as the customer centre knows them, remembered for two seconds (`OwnerSource`).

    What is asked for within one turn of the loop goes out as one call, and nobody
    is asked for twice at a time. The service asks for itself: it needs the right
    "ownership.read" and must start after the customer centre.

    Args:
        channel: to the customer centre.
        clock: ages what is remembered.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = ownership_pb2_grpc.OwnershipServiceStub(channel)
        self._clock = clock
        self._kept: OrderedDict[int, tuple[float, Owner]] = OrderedDict()
        self._flights: dict[int, _Flight] = {}
        self._boarding: _Flight | None = None

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        """Owners by customer; customers that are unknown are left out.

        Raises:
            grpc.aio.AioRpcError: the customer centre cannot be asked.
        """
        found: dict[int, Owner] = {}
        missing: dict[_Flight, list[int]] = {}
        oldest = self._clock.monotonic() - KEPT_S
        for customer_id in customer_ids:
            kept = self._kept.get(customer_id)
            if kept is not None and kept[0] > oldest:
                found[customer_id] = kept[1]
            else:
                missing.setdefault(self._board(customer_id), []).append(customer_id)
        for flight, wanted in missing.items():
            # One who leaves must not take the answer away from the others.
            answered = await asyncio.shield(flight.answer)
            found.update((one, answered[one]) for one in wanted if one in answered)
        return found

    def _board(self, customer_id: int) -> _Flight:
        """The flight that brings this customer's owner: under way, or about to leave."""
        flight = self._flights.get(customer_id)
        if flight is not None:
            return flight
        flight = self._boarding
        if flight is None or len(flight.customer_ids) == BATCH:
            flight = self._boarding = _Flight()
            flight.answer = asyncio.create_task(self._fly(flight))
            flight.answer.add_done_callback(_look_at_failure)
        flight.customer_ids.append(customer_id)
        self._flights[customer_id] = flight
        return flight

    async def _fly(self, flight: _Flight) -> Mapping[int, Owner]:
        """Ask for all who boarded; begins in the turn of the loop after the first did."""
        if self._boarding is flight:
            self._boarding = None
        asked = self._clock.monotonic()
        request = ownership_pb2.GetOwnersRequest(customer_ids=flight.customer_ids)
        try:
            # Many may wait for the answer: neither the user nor the deadline of one counts.
            with using(EMPTY):
                response = await self._stub.GetOwners(request, timeout=TIMEOUT_S)
        finally:
            for customer_id in flight.customer_ids:
                del self._flights[customer_id]
        owners = {message.customer_id: owner(message) for message in response.owners}
        self._keep(owners, asked)
        return owners

    def _keep(self, owners: Mapping[int, Owner], asked: float) -> None:
        for customer_id, found in owners.items():
            self._kept[customer_id] = (asked, found)
            self._kept.move_to_end(customer_id)
        for customer_id in tuple(islice(self._kept, max(0, len(self._kept) - MAX_KEPT))):
            del self._kept[customer_id]


class _Flight:
    """One call on its way, and whom it asks for."""

    __slots__ = ("answer", "customer_ids")

    answer: asyncio.Task[Mapping[int, Owner]]

    def __init__(self) -> None:
        self.customer_ids: list[int] = []


def owner(message: ownership_pb2.Ownership) -> Owner:
    """An owner as the contract's message shows him."""
    return Owner(
        customer_id=message.customer_id,
        kind=message.owner_kind,
        owner_id=message.owner_id,
        branch_id=message.branch_id,
        shares=tuple(map(share, message.shares)),
    )


def share(message: ownership_pb2.OwnerShare) -> Share:
    """A share as the contract's message shows it."""
    return Share(staff_id=message.staff_id, share_bp=message.share_bp, branch_id=message.branch_id)


def ownership(found: Owner) -> ownership_pb2.Ownership:
    """The contract's message of an owner."""
    return ownership_pb2.Ownership(
        customer_id=found.customer_id,
        owner_kind=found.kind,
        owner_id=found.owner_id,
        branch_id=found.branch_id,
        shares=map(owner_share, found.shares),
    )


def owner_share(found: Share) -> ownership_pb2.OwnerShare:
    """The contract's message of a share."""
    return ownership_pb2.OwnerShare(
        staff_id=found.staff_id, share_bp=found.share_bp, branch_id=found.branch_id
    )


def _look_at_failure(flight: asyncio.Task[Mapping[int, Owner]]) -> None:
    """Everybody may have left before it failed; then nobody else looks."""
    if not flight.cancelled():
        flight.exception()
