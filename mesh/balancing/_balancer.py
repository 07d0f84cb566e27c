"""Chooses an instance for each call of a channel, and takes back what became of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from mesh.balancing._peers import Peers
from mesh.balancing._plan import Carried, Members, Plan
from mesh.balancing._table import Listed, Source, Table
from mesh.lane.dial import Endpoint
from mesh.peer import Peer
from mesh.resilience import FAILURES, Counts, Ejector, Health, Resilience


class Balancer:
    """The choice of one channel.

    Args:
        source: the table, asked at each call.
        make: makes the peer of an endpoint.
        carried: answers the metadata of a call made now, with that which it is given.
        options: breaker and ejection.
        counts: the numbers of the process; None: nobody reads them.
        monotonic: seconds that never step back.
        draw: a random number from 0 up to 1.
    """

    def __init__(
        self,
        source: Source,
        make: Callable[[Endpoint], Peer],
        carried: Carried,
        options: Resilience,
        counts: Counts | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._carried = carried
        self._ejector = Ejector(options.outliers, counts or Counts())
        self._monotonic = monotonic
        self._draw = draw
        self._table = Table()
        self._members: Members = ()
        self._plan: Plan | None = None
        self._healths: Sequence[Health] = ()
        self._turn = 0
        self.is_closed = False
        self.has_others = False
        """Whether there is more than one instance."""
        self.peers = Peers(make)
        self.is_refused = False
        """Whether the last choice found none because of breakers."""

    def choose(self, path: str, given: Any = None, avoid: Peer | None = None) -> Peer | None:
        """The instance for a call of a method; None when there is none.

        One whose last connection failed, one that is ejected, one whose breaker refuses,
        and `avoid`, are passed over while there are others.

        Args:
            path: "/package.Service/Method".
            given: the call's metadata, beside that of the current request.
            avoid: where the call has failed.
        """
        now = self._monotonic()
        table = self._source.table(now)
        if table is not self._table:
            self._follow(table)
        if now >= self._ejector.due and self._ejector.look(self._healths, now):
            self._make_plan()
        plan = self._plan
        if plan is None:
            self.is_refused = False
            self._check_open()
            return None
        only = plan.only
        if only is None:
            return self._among(plan, path, given, avoid, now)
        if not only.health.troubled or only.health.admits(path, now):
            return only
        self.is_refused = True
        return None

    @property
    def ejected(self) -> int:
        """Endpoints that get no calls for their failures."""
        return sum(health.ejected_until > 0 for health in self._healths)

    def failed(self, peer: Peer, path: str, code: grpc.StatusCode) -> None:
        """A call to a peer ended with an error."""
        breaker = peer.health.breaker(path)
        if code not in FAILURES:
            breaker.answered()
            return
        now = self._monotonic()
        breaker.failed(now)
        if self._ejector.failed(peer.health, self._healths, now):
            self._make_plan()

    def stop(self) -> None:
        """Choose no more."""
        self.is_closed = True
        self.has_others = False
        self._plan, self._members = None, ()  # gRPC's descriptors go with the last who holds them
        self._source = Listed(())
        self._table = self._source.table(0.0)

    def _among(
        self, plan: Plan, path: str, given: Any, avoid: Peer | None, now: float
    ) -> Peer | None:
        group = plan.group(self._carried, given) if plan.is_routed else plan.all
        peer = group.choose(path, now, avoid)
        if peer is None and group is not plan.all:
            peer = plan.all.choose(path, now, avoid)
        if peer is not None:
            return peer
        self.is_refused = group.refused or plan.all.refused
        if self.is_refused:
            return None
        self._turn += 1
        return group.first[self._turn % len(group.first)]

    def _check_open(self) -> None:
        if self.is_closed:
            raise grpc.aio.UsageError("Channel is closed.")

    def _follow(self, table: Table) -> None:
        """The table is another one: keep the peers that stay, and retire those that left."""
        self._table = table
        known = {id(member[0]): member for member in self._members}
        self._members = [
            known.get(id(instance)) or (instance, self.peers.of(instance))
            for instance in table.instances
        ]
        self._make_plan()
        if self._members:  # a table that is empty for a moment takes nothing away
            self.peers.retire({peer for _, peer in self._members})

    def _make_plan(self) -> None:
        members = self._members
        self._healths = [*{peer.health: None for _, peer in members}]
        self._plan = Plan(members, self._table.route, self._draw) if members else None
        self.has_others = len(members) > 1
