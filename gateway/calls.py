"""Calls of services: the last step of a request to a method."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any, Final

import grpc
from google.protobuf import message_factory

from gateway import edges
from gateway.codec import JsonTypes
from gateway.errors import GatewayReason
from gateway.exchange import Exchange, Target
from gateway.http import Request, Response
from gateway.rules import Binding
from gateway.transcoder import Transcoder
from mesh.context import TRACEPARENT, Metadata, RequestContext, using
from mesh.edge import Answer
from mesh.errors import MeshError

_SECONDS = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,9})?")
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def target(binding: Binding, types: JsonTypes, channel: grpc.aio.Channel) -> Target:
    """The target of a binding: transcode, call the service behind `channel`, transcode back."""
    policy = binding.method.policy
    call = EdgeCall if policy.http_edge else Call
    return Target(
        label=binding.label,
        answer=call(binding, types, channel),
        permission=policy.permission,
        anonymous=policy.anonymous,
        reads=binding.method.read_only,
        cost=policy.cost or 1,
    )


class Call:
    """Answers a request by one call."""

    def __init__(self, binding: Binding, types: JsonTypes, channel: grpc.aio.Channel) -> None:
        method = binding.method
        self._transcoder = Transcoder(binding, types)
        self._timeout_s = method.timeout_s
        self._has_request_id = method.has_request_id
        self._invoke = channel.unary_unary(
            method.path,
            request_serializer=message_factory.GetMessageClass(method.input).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output).FromString,
        )

    async def __call__(self, exchange: Exchange) -> Response:
        message = self._transcoder.request(exchange.values, exchange.request)
        return self._transcoder.response(await self._begin(exchange, message))

    def _begin(self, exchange: Exchange, message: Any, metadata: Metadata = ()) -> Any:
        """The call, under way; the user's token and what is left of his time go with it."""
        context = RequestContext(
            principal=exchange.principal,
            token=exchange.token,
            request_id=message.request_id if self._has_request_id else "",
        )
        asked_s = requested_timeout_s(exchange.request)
        timeout_s = min(self._timeout_s, asked_s or self._timeout_s)
        with using(context):
            return self._invoke(message, timeout=timeout_s, metadata=metadata)


class EdgeCall(Call):
    """Answers a request by a method that may read and set what HTTP alone knows.

    A body that is announced as longer than the first answer is fetched in pieces,
    by range, each in a call of its own: a slow client holds no call open, and
    every piece is checked anew.
    """

    async def __call__(self, exchange: Exchange) -> Response:
        message = self._transcoder.request(exchange.values, exchange.request)
        asked = edges.asked(exchange.request)
        call = self._begin(exchange, message, asked.metadata())
        response = self._transcoder.response(await call)
        answer = Answer.of(await call.initial_metadata())
        refusal = edges.refusal(answer, response)
        if refusal is not None:
            exchange.headers += edges.headers(answer)
            raise refusal
        if edges.is_cut(answer, response, asked):
            pieces = self._pieces(exchange, message, edges.Rest.of(answer, response))
            return edges.said(answer, response, rest=pieces)
        return edges.said(answer, response)

    async def _pieces(
        self, exchange: Exchange, message: Any, rest: edges.Rest
    ) -> AsyncGenerator[bytes, None]:
        # These calls are made while the body is sent: the span that was current has ended.
        trace = ((TRACEPARENT, exchange.trace.header),) if exchange.trace else ()
        while not rest.is_complete:
            call = self._begin(exchange, message, (*rest.asked.metadata(), *trace))
            piece = self._transcoder.response(await call).body
            rest = rest.after(Answer.of(await call.initial_metadata()), piece)
            yield piece


def requested_timeout_s(http: Request) -> float | None:
    """How long the client is willing to wait, in seconds; None when it does not say.

    Raises:
        MeshError: INVALID_HEADER.
    """
    text = http.header(b"x-server-timeout")
    if text:
        if not _SECONDS.fullmatch(text) or not float(text):
            raise MeshError(GatewayReason.INVALID_HEADER, "X-Server-Timeout is not seconds")
        return float(text)
    text = http.header(b"grpc-timeout")
    if text:
        match = _GRPC_TIMEOUT.fullmatch(text)
        if match is None or not int(match[1]):
            raise MeshError(GatewayReason.INVALID_HEADER, "grpc-timeout is not a gRPC time-out")
        return int(match[1]) * _UNITS_S[match[2]]
    return None
