"""HTTP request to request message, response message to HTTP response, for one binding.

What follows from the contract is worked out once, when the binding is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from gateway import masks, raw, urls
from gateway.codec import (
    Codec,
    FieldError,
    JsonCodec,
    JsonTypes,
    NoParameter,
    Parameter,
    parameter,
    parsed_object,
    violated,
)
from gateway.errors import GatewayReason
from gateway.fields import needs_fields
from gateway.http import Request, Response
from gateway.negotiation import accepts_json, is_json
from gateway.raw import NO_STORE, RawReader, is_raw
from gateway.rules import BODILESS, WHOLE, Binding, has_text
from mesh.errors import MeshError, Violation

ETAG: Final = "etag"
MAX_KNOWN_PARAMETERS: Final = 256

_STRONG_ETAG = re.compile(r'"([\x21\x23-\x7e]*)"')
_ETAG_TEXT = re.compile(r"[\x21\x23-\x7e]+")


class Transcoder:
    """Carries one binding.

    Args:
        binding: the binding.
        types: compiled JSON readers and writers of the method's descriptors.
    """

    def __init__(self, binding: Binding, types: JsonTypes) -> None:
        method = binding.method
        answered = binding.response_resource
        self._binding = binding
        self._build = message_factory.GetMessageClass(method.input)
        self._codec: Codec = JsonCodec(
            types,
            method.input,
            method.output,
            body=binding.body or WHOLE,
            response_body=binding.response_body,
            lax=binding.lax,
        )
        self._variables = binding.variables
        self._query = _Query(binding)
        self._raw = is_raw(answered)
        self._read_raw = (
            RawReader(method.input, binding.body) if is_raw(binding.request_resource) else None
        )
        self._has_request_id = has_text(method.input, "request_id")
        self._needs_fields = needs_fields(method.input)
        self._reads_conditions = method.policy.http_edge
        self._etag_in = _etag_path(binding.request_resource, binding.body)
        self._etag_out = _etag_path(answered, binding.response_body)
        self._fills_mask = (
            binding.http_method == "PATCH"
            and binding.request_resource is not None
            and binding.body != WHOLE
            and self._read_raw is None
            and masks.takes_mask(method.input)
        )

    def request(self, values: Sequence[str], http: Request) -> Message:
        """The request message.

        Args:
            values: of the template's variables.
            http: the HTTP request.

        Raises:
            MeshError: a `GatewayReason`; the request is not what the contract asks for.
        """
        if not self._raw and not accepts_json(http.header(b"accept")):
            raise MeshError(GatewayReason.NOT_ACCEPTABLE)
        if self._read_raw is not None:
            message = self._read_raw(http)
        else:
            message = self._body(http) if http.body else self._build()
        try:
            for variable, text in zip(self._variables, values, strict=True):
                if http.body and variable.differs(message, text):
                    raise _conflict(variable.name, "differs from the path")
                variable.set(message, (text,))
            if http.query:
                self._query.set(message, http.query)
        except FieldError as error:
            raise violated(error) from None
        self._set_headers(message, http)
        if self._fills_mask and http.body and not message.HasField(masks.UPDATE_MASK):
            self._fill_mask(message, http.body)
        if self._needs_fields:
            _refuse_missing(message)
        return message

    def response(self, message: Any) -> Response:
        """The HTTP response of a response message.

        Raises:
            ValueError: it has no JSON form.
        """
        if self._raw:
            name = self._binding.response_body
            return raw.response(getattr(message, name) if name else message)
        headers = [NO_STORE]
        if self._etag_out is not None:
            etag = _get(message, self._etag_out)
            if _ETAG_TEXT.fullmatch(etag):
                headers.append((b"etag", f'"{etag}"'.encode("ascii")))
        return Response(body=self._codec.print(message), headers=headers)

    def _body(self, http: Request) -> Message:
        if not self._binding.body:
            raise MeshError(GatewayReason.BODY_NOT_ALLOWED)
        if not is_json(http.header(b"content-type")):
            raise MeshError(GatewayReason.UNSUPPORTED_MEDIA_TYPE)
        return self._codec.parse(http.body)

    def _set_headers(self, message: Any, http: Request) -> None:
        key = http.header(b"idempotency-key")
        if key and self._has_request_id:
            if message.request_id not in {"", key}:
                raise _conflict("request_id", "differs from the header Idempotency-Key")
            message.request_id = key
        condition = http.header(b"if-match")
        if not condition or condition == "*" or http.method in BODILESS:
            return
        if self._etag_in is not None or not self._reads_conditions:
            self._set_etag(message, condition)

    def _set_etag(self, message: Any, condition: str) -> None:
        if self._etag_in is None:
            raise MeshError(GatewayReason.INVALID_HEADER, "If-Match is not taken here")
        etag = _STRONG_ETAG.fullmatch(condition)
        if etag is None:
            raise MeshError(GatewayReason.INVALID_HEADER, "If-Match is not one strong ETag")
        resource = _get(message, self._etag_in[:-1])
        if resource.etag not in {"", etag[1]}:
            raise _conflict(ETAG, "differs from the header If-Match")
        resource.etag = etag[1]

    def _fill_mask(self, message: Any, body: bytes) -> None:
        """Name in the mask what the body names, but not what the path or If-Match is about."""
        resource = self._binding.request_resource
        assert resource is not None
        bound = {v.path[1:] for v in self._variables if v.path[0] == self._binding.body}
        without = {ETAG, *map(".".join, bound)}
        found = masks.paths(resource, parsed_object(body), without=without)
        message.update_mask.paths.extend(found)


class _Query:
    """Sets the fields that neither path nor body give."""

    def __init__(self, binding: Binding) -> None:
        self._message = binding.method.input
        self._body = binding.body
        self._lax = binding.lax
        self._bound = {variable.path for variable in binding.variables}
        self._above = {path[:depth] for path in self._bound for depth in range(1, len(path))}
        self._known: dict[str, Parameter] = {}

    def set(self, message: Message, query: str) -> None:
        given: dict[str, list[str]] = {}
        for name, text in urls.parameters(query):
            if not name.startswith("$"):  # "$alt" and its like are for Google's own servers
                given.setdefault(name, []).append(text)
        done = set(self._bound)
        for name, texts in given.items():
            found = self._known.get(name) or self._parameter(name)
            if found is None:
                continue
            if found.path in done:
                raise _conflict(name, "is given elsewhere")
            done.add(found.path)
            found.set(message, texts)

    def _parameter(self, name: str) -> Parameter | None:
        """The parameter of this name, found for the first time; None: it is to be left out."""
        try:
            found = self._find(name)
        except MeshError as error:
            if self._lax and error.reason is GatewayReason.UNKNOWN_FIELD:
                return None
            raise
        if len(self._known) < MAX_KNOWN_PARAMETERS:
            self._known[name] = found
        return found

    def _find(self, name: str) -> Parameter:
        violation = Violation(name, "is not a query parameter")
        try:
            found = parameter(self._message, name, lax=self._lax)
        except NoParameter:
            raise MeshError(GatewayReason.UNKNOWN_FIELD, violations=(violation,)) from None
        if self._body in {WHOLE, found.path[0]} and found.path not in self._bound:
            raise MeshError(GatewayReason.UNKNOWN_FIELD, violations=(violation,))
        if found.path in self._above:
            raise _conflict(name, "is given elsewhere")
        return found


def _refuse_missing(message: Any) -> None:
    missing = message.FindInitializationErrors()
    if missing:
        violations = tuple(Violation(name, "is required") for name in missing)
        raise MeshError(GatewayReason.INVALID_FIELD, violations=violations)


def _etag_path(resource: Descriptor | None, name: str) -> tuple[str, ...] | None:
    """Where the etag of a resource stands that is in field `name`; None when it has none."""
    if resource is None or not has_text(resource, ETAG):
        return None
    return (ETAG,) if name in {"", WHOLE} else (name, ETAG)


def _get(message: Any, path: Sequence[str]) -> Any:
    for name in path:
        message = getattr(message, name)
    return message


def _conflict(name: str, description: str) -> MeshError:
    return MeshError(GatewayReason.CONFLICTING_FIELD, violations=(Violation(name, description),))
