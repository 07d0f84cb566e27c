"""Demo users and local identities who call services past the gateway, over blocking channels."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import grpc
from google.protobuf.message import Message

from engine.mesh.v1 import ownership_pb2
from loadtests import contracts
from loadtests.session import Session, sign_on
from loadtests.targets import Targets
from mesh import blocking_channel
from mesh import context as wire
from mesh.channel import Channel
from mesh.context import Metadata

MAKER, CHECKER, LAUNCHER, SOURCE = "hq", "compliance", "hq2", "core"
"""Who writes a strategy, who approves it, who launches its model, who hands in events."""

LOADER: Final = "loader"
"""The local identity that brings in customers and plays outside parties."""

TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of staff of the demo; `branch_id` is 0 at head office."""

    username: str
    staff_id: int
    branch_id: int
    kind: ownership_pb2.OwnerKind.ValueType


MANAGERS: Final = tuple(
    Member(
        username=f"rm{number:03}",
        staff_id=number,
        branch_id=(number - 1) % 4 + 1,
        kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    )
    for number in range(1, 9)
)
AGENTS: Final = tuple(
    Member(
        username=f"do{number:03}",
        staff_id=9_000 + number,
        branch_id=0,
        kind=ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS,
    )
    for number in (1, 2)
)
ROBOT: Final = Member(
    username="bot001", staff_id=9_801, branch_id=0, kind=ownership_pb2.OWNER_KIND_ROBOT
)


class People:
    """Signs demo users on when they are needed, each once. A context manager."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets
        self._open = ExitStack()
        self._sessions: dict[str, Session] = {}
        self._channels: dict[tuple[str, str], grpc.Channel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def session(self, username: str) -> Session:
        """The session of a demo user."""
        if username not in self._sessions:

            def renew() -> tuple[str, float]:
                grant = sign_on(self._channel("", "identity"), username)
                return grant.access_token, grant.expires_in

            self._sessions[username] = Session(renew)
        return self._sessions[username]

    def ask(self, who: str, request: Message, timeout_s: float = TIMEOUT_S) -> Any:
        """What the request's method answers to this demo user, or to the loader.

        Raises:
            grpc.RpcError: it was refused.
        """
        service = contracts.service_of(contracts.method_of(request.DESCRIPTOR))
        return contracts.by_stub(self._channel(who, service), request, timeout_s)

    def channel(self, username: str, service: str) -> Channel:
        """A channel for asyncio, to be closed by who asked; the user is signed on here and now."""
        session, target = self.session(username), self.targets.grpc(service)
        session.header()
        return Channel(service, lambda: [target], session.proofs)

    def _channel(self, who: str, service: str) -> grpc.Channel:
        if (who, service) not in self._channels:
            channel = blocking_channel(self.targets.grpc(service), lambda: self._proofs(who))
            self._channels[who, service] = self._open.enter_context(channel)
        return self._channels[who, service]

    def _proofs(self, who: str) -> Metadata:
        if who == LOADER:
            return ((wire.CALLER, self.targets.key(LOADER).token()),)
        return self.session(who).proofs() if who else ()
