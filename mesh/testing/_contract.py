"""What the contract says of the methods that a test names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One method: what it takes and answers, and which of the two are streams."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool

    @classmethod
    def of(cls, path: str) -> Self:
        """The method with this path, "/package.Service/Method".

        Raises:
            TypeError: no generated module that was imported has it.
        """
        service, _, name = path.removeprefix("/").partition("/")
        try:
            found = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
        except KeyError:
            raise TypeError(f"{path} is in no contract: is this a generated stub?") from None
        return cls(
            service=service.rpartition(".")[2],
            name=name,
            request=message_factory.GetMessageClass(found.input_type),
            response=message_factory.GetMessageClass(found.output_type),
            client_streaming=found.client_streaming,
            server_streaming=found.server_streaming,
        )

    def asked(self, request: object) -> Message:
        """`request` as a server gets it: sent and parsed.

        Raises:
            TypeError: it is of another type. gRPC itself would send it all the same.
        """
        return _passed_on(request, self.request, f"{self.service}.{self.name} takes")

    def answered(self, response: object) -> Message:
        """`response` as a client gets it: sent and parsed.

        Raises:
            TypeError: it is of another type.
        """
        return _passed_on(response, self.response, f"{self.service}.{self.name} answers")


def check_names(service: str, named: Iterable[str], methods: Collection[str]) -> None:
    """Refuse names that no method has.

    Raises:
        AttributeError: says which, and which it may be meant to be.
    """
    for name in named:
        if name not in methods:
            close = get_close_matches(name, methods, n=1)
            meant = f"did you mean {close[0]}?" if close else f"it has {', '.join(methods)}"
            raise AttributeError(f"{service} has no method {name!r}; {meant}")


def _passed_on(message: Any, wanted: type[Message], said: str) -> Message:
    if not isinstance(message, wanted):
        found = getattr(message, "DESCRIPTOR", None)
        name = type(message).__name__ if found is None else found.full_name
        raise TypeError(f"{said} {wanted.DESCRIPTOR.full_name}, not {name}")
    return wanted.FromString(message.SerializeToString())
