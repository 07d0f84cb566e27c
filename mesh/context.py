"""What a call carries beside its payload, on every path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from engine.mesh.v1 import context_pb2, policy_pb2
from mesh.deadline import Deadline

AUTHORIZATION: Final = "authorization"
CALLER: Final = "x-engine-caller"
ON_BEHALF_OF: Final = "x-engine-on-behalf-of"
PURPOSE: Final = "x-engine-purpose"
CHAIN: Final = "x-engine-chain-bin"
BUSINESS_DATE: Final = "x-engine-business-date"
REQUEST_ID: Final = "x-request-id"
TRACEPARENT: Final = "traceparent"

REPEATED: Final = frozenset({AUTHORIZATION, ON_BEHALF_OF, PURPOSE, BUSINESS_DATE})
"""Of the metadata of a call made on behalf of another, what other calls have as well."""

Metadata = tuple[tuple[str, str | bytes], ...]
Scope: TypeAlias = policy_pb2.Scope.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The signed-on end user (or service account), as his verified token says."""

    subject: str
    permissions: frozenset[str]
    data_scope: Scope = policy_pb2.SCOPE_UNSPECIFIED
    roles: tuple[str, ...] = ()
    staff_id: int = 0
    branch_id: int = 0
    session_id: str = ""

    def claim(self, name: str) -> str:
        """A claim as text: "sub", "staff_id", "branch_id"; empty when it has none."""
        claims = {"sub": self.subject, "staff_id": self.staff_id, "branch_id": self.branch_id}
        return str(claims.get(name) or "")


class RequestContext(Struct, frozen=True, kw_only=True, gc=False):
    """Who asks, for whom, why, by when, as part of what.

    `token` is the end user's access token as received, to be passed on.
    `service` is the calling service, proven; empty for a client outside the mesh.
    `rights` are the permissions that the calling service holds.
    `scope` is the effective data scope: the narrower of the method's and the caller's.
    The garbage collector need not follow it: nothing in it refers back to it.
    """

    principal: Principal | None = None
    token: str = ""
    service: str = ""
    rights: frozenset[str] = frozenset()
    on_behalf_of: str = ""
    purpose: str = ""
    chain: context_pb2.ChainIds = field(default_factory=context_pb2.ChainIds)
    business_date: str = ""
    request_id: str = ""
    deadline: Deadline | None = None
    scope: Scope = policy_pb2.SCOPE_UNSPECIFIED

    @property
    def user(self) -> str:
        """Subject of the end user; empty for a service's own work."""
        return self.principal.subject if self.principal else ""

    @property
    def actor(self) -> str:
        """Who is answerable: the end user, else whom the service acts for, else the service.

        A service is "mesh:NAME", so that no user can be named like one.
        """
        return self.user or self.on_behalf_of or (self.service and f"mesh:{self.service}")

    def outgoing(self) -> list[tuple[str, str | bytes]]:
        """The metadata of a call made on behalf of this one."""
        pairs = self.repeated()
        if self.chain.ByteSize():
            pairs.append((CHAIN, self.chain.SerializeToString()))
        return pairs

    def repeated(self) -> list[tuple[str, str | bytes]]:
        """Of that, what the calls of one user for one purpose have in common."""
        pairs: list[tuple[str, str | bytes]] = []
        if self.token:
            pairs.append((AUTHORIZATION, f"Bearer {self.token}"))
        if self.on_behalf_of:
            pairs.append((ON_BEHALF_OF, self.on_behalf_of))
        if self.purpose:
            pairs.append((PURPOSE, self.purpose))
        if self.business_date:
            pairs.append((BUSINESS_DATE, self.business_date))
        return pairs


EMPTY: Final = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("engine_request", default=EMPTY)


def current() -> RequestContext:
    """The context of the call that this task serves; an empty one outside any call."""
    return _current.get()


def enter(context: RequestContext) -> None:
    """Make `context` the current one for the rest of this task."""
    _current.set(context)


class using:  # noqa: N801 - reads as a statement: `with using(context):`
    """Make a context the current one for a block: `with using(context): …`."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: RequestContext) -> None:
        self._context = context

    def __enter__(self) -> RequestContext:
        self._token = _current.set(self._context)
        return self._context

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def with_purpose(purpose: str) -> using:
    """Use the current context with a purpose for a block; calls made in it state that purpose."""
    return using(replace(current(), purpose=purpose))


def as_service() -> using:
    """Act as the service itself for a block, on behalf of the present actor.

    Calls made in it carry no user, so that the service's own right decides alone.
    Chain, purpose, business date and deadline stay as they are.
    """
    present = current()
    return using(
        RequestContext(
            on_behalf_of=present.actor,
            purpose=present.purpose,
            chain=present.chain,
            business_date=present.business_date,
            deadline=present.deadline,
        )
    )


def text_metadata(pairs: Iterable[tuple[str, str | bytes]]) -> Mapping[str, str]:
    """The text entries of metadata, last one wins."""
    return {key: value for key, value in pairs if isinstance(value, str)}
