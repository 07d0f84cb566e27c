"""Calls of services: the last step of a request to a method."""

from __future__ import annotations

import re
from typing import Any, Final

import grpc
from google.protobuf import message_factory

from gateway.codec import JsonTypes
from gateway.errors import GatewayReason
from gateway.exchange import Exchange, Target
from gateway.http import Request, Response
from gateway.rules import Binding
from gateway.transcoder import Transcoder
from mesh.context import RequestContext, using
from mesh.errors import MeshError

_SECONDS = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,9})?")
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS_S: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def target(binding: Binding, types: JsonTypes, channel: grpc.aio.Channel) -> Target:
    """The target of a binding: transcode, call the service behind `channel`, transcode back."""
    policy = binding.method.policy
    return Target(
        label=binding.label,
        answer=_Call(binding, types, channel),
        permission=policy.permission,
        anonymous=policy.anonymous,
        cost=policy.cost or 1,
    )


class _Call:
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
        http = exchange.request
        message: Any = self._transcoder.request(exchange.values, http)
        context = RequestContext(
            principal=exchange.principal,
            token=exchange.token,
            request_id=message.request_id if self._has_request_id else "",
        )
        timeout_s = min(self._timeout_s, requested_timeout_s(http) or self._timeout_s)
        with using(context):
            response = await self._invoke(message, timeout=timeout_s)
        return self._transcoder.response(response)


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
