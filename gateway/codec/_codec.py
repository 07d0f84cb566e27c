"""The JSON of one REST method: its body to a request, a response to its body."""

from __future__ import annotations

from typing import Any, Protocol

import orjson
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from gateway.codec._reading import Reading
from gateway.codec._scalars import FieldError, Read
from gateway.codec._text import load
from gateway.codec._writing import Writing
from mesh.errors import MeshError, Violation


class Codec(Protocol):
    """What the transcoder needs of a codec: both directions of one binding."""

    def parse(self, body: bytes) -> Message:
        """The request message with what the body says.

        Raises:
            MeshError: a `GatewayReason`; the body is not what the contract asks for.
        """

    def print(self, response: Message) -> bytes:
        """The JSON of a response message, or of the field of it that is answered.

        Raises:
            ValueError: the message has no JSON form.
        """


class JsonTypes:
    """The compiled readers and writers of one descriptor pool, shared by its methods."""

    def __init__(self, pool: DescriptorPool) -> None:
        self.reading = Reading(pool)
        self.lax_reading = Reading(pool, lax=True)
        self.writing = Writing(pool)


class JsonCodec:
    """A codec for one binding of a method.

    Args:
        types: readers and writers of the descriptors' pool.
        request: type of the request message.
        response: type of the response message.
        body: field of the request that the body is; "*": the request itself.
        response_body: field of the response that is answered; empty: all of it.
        lax: leave out what the contract does not know, instead of refusing it.
    """

    def __init__(
        self,
        types: JsonTypes,
        request: Descriptor,
        response: Descriptor,
        *,
        body: str = "*",
        response_body: str = "",
        lax: bool = False,
    ) -> None:
        self._build = message_factory.GetMessageClass(request)
        self._read = _body_reader(types.lax_reading if lax else types.reading, request, body)
        self._write = _response_writer(types, response, response_body)

    def parse(self, body: bytes) -> Message:
        document = load(body)
        try:
            found = self._read(document)
        except FieldError as error:
            raise violated(error) from None
        return found if isinstance(found, Message) else self._build(**found)

    def print(self, response: Message) -> bytes:
        return orjson.dumps(self._write(response))


def violated(error: FieldError) -> MeshError:
    """The error that the caller sees."""
    violation = Violation(error.field, error.description)
    detail = f"{error.field}: {error.description}" if error.field else error.description
    return MeshError(error.reason, detail, violations=(violation,))


def parsed_object(body: bytes) -> dict[str, Any]:
    """The object in `body`, for those who must know which fields it names; else an empty one."""
    document = load(body)
    return document if isinstance(document, dict) else {}


def _body_reader(reading: Reading, request: Descriptor, body: str) -> Read:
    if body == "*":
        return reading.message(request)
    return reading.only(request.fields_by_name[body])


def _response_writer(types: JsonTypes, response: Descriptor, name: str) -> Any:
    if not name:
        return types.writing.message(response)
    field: FieldDescriptor = response.fields_by_name[name]
    write = types.writing.field(field)
    if write is None:
        return lambda message: getattr(message, name)
    return lambda message: write(getattr(message, name))
