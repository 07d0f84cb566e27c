"""Establishes who calls: the end user by his token, the calling service by its own."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any, Final

from google.protobuf.message import DecodeError
from msgspec import Struct
from msgspec.structs import replace

from engine.mesh.v1 import context_pb2, policy_pb2
from mesh import context as wire
from mesh.call import Call, Check, Guard
from mesh.context import RequestContext, enter
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.lane.metadata import Repeated
from mesh.tokens import Caller, TokenVerifier

MAX_KNOWN: Final = 10_000
"""Callers remembered; then all are forgotten."""

_BEARER = "Bearer "
_CODE = re.compile("[a-z][a-z_.-]{0,63}")
_NO_CHAIN: Final = wire.EMPTY.chain

_Proofs = tuple[str | bytes | None, ...]


class _Known(Struct):
    """What is the same in every call with the same proofs, until one of them ends."""

    context: RequestContext
    widest: wire.Scope
    is_service: bool
    expires: float
    generation: int


class IdentityInterceptor(Guard):
    """Verifies the proofs that a call carries and makes them its request context.

    Its scope is the narrower of the method's and the user's.

    A wrong proof is refused even where none is needed; only anonymous methods
    ignore a user's token. Whom a service acts for, and which chain its call belongs
    to, is believed of services alone. What was believed once is remembered until a
    proof expires or the verifier has heard news; what was refused is not.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        self._known: dict[_Proofs, _Known] = {}

    def check(self, method: Method) -> Check:
        verifier, now = self._verifier, self._verifier.now
        anonymous, widest = method.policy.anonymous, method.policy.scope

        def identified(call: Call, request: Any) -> None:  # noqa: ARG001 - of every check
            get = call.metadata.get
            noting = call.metadata if type(call.metadata) is Repeated and not anonymous else None
            found = None if noting is None else noting.proves
            if found is None or found.generation != verifier.generation or found.expires <= now():
                found = self._look_up(call, anonymous=anonymous)
                if noting is not None:
                    noting.proves = found
            request_id = get(wire.REQUEST_ID, "")
            call.context = replace(
                found.context,
                chain=_chain(get(wire.CHAIN)) if found.is_service else _NO_CHAIN,
                request_id=request_id if isinstance(request_id, str) else "",
                deadline=call.deadline,
                scope=min(widest, found.widest),
            )
            enter(call.context)

        return identified

    def _look_up(self, call: Call, *, anonymous: bool) -> _Known:
        """What the proofs of a call prove, as remembered or else verified."""
        get, verifier = call.metadata.get, self._verifier
        caller = get(wire.CALLER)
        proofs = (
            None if anonymous else get(wire.AUTHORIZATION),
            caller,
            get(wire.ON_BEHALF_OF) if caller else None,
            get(wire.PURPOSE),
            get(wire.BUSINESS_DATE),
            call.proven,
        )
        known = self._known.get(proofs)
        if (
            known is None
            or known.generation != verifier.generation
            or known.expires <= verifier.now()
        ):
            known = self._establish(call, proofs, anonymous=anonymous)
        return known

    def _establish(self, call: Call, proofs: _Proofs, *, anonymous: bool) -> _Known:
        """Verify the proofs anew, and remember what they prove."""
        self._known.pop(proofs, None)
        generation = self._verifier.generation
        caller_until, caller = self._caller(call)
        token = "" if anonymous else _bearer(call)
        user_until, principal = self._verifier.user_until(token) if token else (math.inf, None)
        context = RequestContext(
            principal=principal,
            token=token,
            service=caller.service if caller else "",
            rights=caller.rights if caller else frozenset(),
            on_behalf_of=call.text(wire.ON_BEHALF_OF) if caller else "",
            purpose=_purpose(call),
            chain=_NO_CHAIN,
            business_date=_business_date(call),
        )
        known = _Known(
            context,
            policy_pb2.SCOPE_UNSPECIFIED if principal is None else principal.data_scope,
            caller is not None,
            min(caller_until, user_until),
            generation,
        )
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[proofs] = known
        return known

    def _caller(self, call: Call) -> tuple[float, Caller | None]:
        token = call.text(wire.CALLER)
        if not token:
            return math.inf, None
        found = self._verifier.caller_until(token)
        if call.proven not in {"", found[1].service}:
            text = f"The connection is of '{call.proven}', the proof of '{found[1].service}'"
            raise MeshError(MeshReason.CALLER_REFUSED, text)
        return found


def _bearer(call: Call) -> str:
    header = call.text(wire.AUTHORIZATION)
    if not header:
        return ""
    if not header.startswith(_BEARER):
        raise MeshError(MeshReason.TOKEN_INVALID, "Authorization must be 'Bearer <token>'")
    return header[len(_BEARER) :]


def _chain(raw: str | bytes | None) -> context_pb2.ChainIds:
    if not raw or not isinstance(raw, bytes):
        return _NO_CHAIN
    try:
        return context_pb2.ChainIds.FromString(raw)
    except DecodeError as error:
        raise MeshError(MeshReason.MALFORMED_REQUEST, f"{wire.CHAIN} is not ChainIds") from error


def _purpose(call: Call) -> str:
    """The purpose, a code: it goes into records, where no person's words may stand."""
    text = call.text(wire.PURPOSE)
    if text and _CODE.fullmatch(text) is None:
        raise MeshError(MeshReason.MALFORMED_REQUEST, f"{wire.PURPOSE} must be a code: 'service'")
    return text


def _business_date(call: Call) -> str:
    """The date, checked: it goes into events, and the bus takes none that holds another text."""
    text = call.text(wire.BUSINESS_DATE)
    try:
        if not text or date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise MeshError(MeshReason.MALFORMED_REQUEST, f"{wire.BUSINESS_DATE} must be YYYY-MM-DD")
