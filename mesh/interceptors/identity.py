"""Establishes who calls: the end user by his token, the calling service by its own."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from google.protobuf.message import DecodeError

from engine.mesh.v1 import context_pb2
from mesh import context as wire
from mesh.call import Call, Handler
from mesh.context import RequestContext
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.tokens import Caller, TokenVerifier

_BEARER = "Bearer "
_CODE = re.compile("[a-z][a-z_.-]{0,63}")


class IdentityInterceptor:
    """Verifies the proofs that a call carries and makes them its request context.

    A wrong proof is refused even where none is needed; only anonymous methods
    ignore a user's token. Whom a service acts for, and which chain its call belongs
    to, is believed of services alone.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def bind(self, method: Method, call_next: Handler) -> Handler:
        async def identified(call: Call, request: Any) -> Any:
            caller = self._caller(call)
            token = "" if method.policy.anonymous else _bearer(call)
            call.context = RequestContext(
                principal=self._verifier.user(token) if token else None,
                token=token,
                service=caller.service if caller else "",
                rights=caller.rights if caller else frozenset(),
                on_behalf_of=call.text(wire.ON_BEHALF_OF) if caller else "",
                purpose=_purpose(call),
                chain=_chain(call) if caller else wire.EMPTY.chain,
                business_date=_business_date(call),
                request_id=call.text(wire.REQUEST_ID),
                deadline=call.deadline,
            )
            wire.enter(call.context)
            return await call_next(call, request)

        return identified

    def _caller(self, call: Call) -> Caller | None:
        token = call.text(wire.CALLER)
        return self._verifier.caller(token) if token else None


def _bearer(call: Call) -> str:
    header = call.text(wire.AUTHORIZATION)
    if not header:
        return ""
    if not header.startswith(_BEARER):
        raise MeshError(MeshReason.TOKEN_INVALID, "Authorization must be 'Bearer <token>'")
    return header[len(_BEARER) :]


def _chain(call: Call) -> context_pb2.ChainIds:
    raw = call.metadata.get(wire.CHAIN, b"")
    if not isinstance(raw, bytes) or not raw:
        return wire.EMPTY.chain
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
