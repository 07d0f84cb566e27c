"""A stub that answers from a mapping: for the tests of teams that call a service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from mesh.context import Metadata
from mesh.testing import _calls
from mesh.testing._answers import Answer, Produce, no_answer, producer
from mesh.testing._contract import Shape, check_names
from mesh.testing._requests import Requests

Stub = TypeVar("Stub")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call that was made of a fake.

    `request` is the message as a server would have got it; where the client streams, the
    list of those so far. `timeout` is in seconds; None: the caller stated none.
    """

    method: str
    request: Any
    metadata: Metadata
    timeout: float | None


def fake(stub: Callable[[grpc.aio.Channel], Stub], answers: Mapping[str, Answer]) -> Stub:
    """A stub whose calls are answered from a mapping, without a server.

        customers = fake(
            CustomerServiceStub,
            {"GetCustomer": GetCustomerResponse(customer=Customer(customer_id=7))},
        )

    Args:
        stub: a generated stub class, for grpc.aio.
        answers: by name of the method. A message; an error (`MeshError`, `failure(…)`) that
            the call fails with; or a callable, async or not, that is given the request, or
            request and metadata, and returns either or raises the error. Where the server
            streams, an iterable or async iterable of messages in place of a message; its
            last may be an error. Where the client streams, a callable is given the async
            iterator of requests.

    Requests and answers are serialized and parsed as on a network. A method that is not in
    the mapping fails with UNIMPLEMENTED. `calls(stub)` tells which calls were made.

    Raises:
        AttributeError: the stub has no method of that name.
        TypeError: an answer is none that the contract allows. Those of callables are looked
            at when the call is made, and the call raises it.
    """
    return of_channel(stub, FakeChannel(answers), answers)


def of_channel(stub: Callable[[Any], Stub], channel: FakeChannel, answers: Iterable[str]) -> Stub:
    """The stub on a channel of fakes, which has a method for each name in `answers`."""
    made = stub(channel)
    service = getattr(stub, "__name__", "the stub").removesuffix("Stub")
    check_names(service, answers, channel.methods)
    return made


def calls(of: object) -> list[Asked]:
    """The calls that were made of a fake stub, or of one of its methods, oldest first.

    Raises:
        TypeError: `of` was not made by `fake`.
    """
    if isinstance(of, Method):
        return of.asked
    methods = [method for method in vars(of).values() if isinstance(method, Method)]
    if not methods:
        raise TypeError(f"{of!r} was not made by mesh.testing.fake")
    return methods[0].channel.asked


class FakeChannel:
    """As much of a channel as a stub needs to be made."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self.methods: list[str] = []
        self.asked: list[Asked] = []

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Method:
        return _UnaryRequest(self, path, _calls.UnaryUnary)

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Method:
        return _UnaryRequest(self, path, _calls.UnaryStream)

    def stream_unary(self, path: str, *_: Any, **__: Any) -> Method:
        return _StreamRequest(self, path, _calls.StreamUnary)

    def stream_stream(self, path: str, *_: Any, **__: Any) -> Method:
        return _StreamRequest(self, path, _calls.StreamStream)

    def answering(self, shape: Shape) -> Produce:
        """What answers a method of the stub that is being made."""
        self.methods.append(shape.name)
        if shape.name not in self._answers:
            return no_answer(shape)
        return producer(shape, self._answers[shape.name])


class Method:
    """One method of a fake stub."""

    def __init__(self, channel: FakeChannel, path: str, call: Callable[..., Any]) -> None:
        self.channel = channel
        self._shape = Shape.of(path)
        self._produce = channel.answering(self._shape)
        self._call = call

    @property
    def asked(self) -> list[Asked]:
        """The calls of this method."""
        return [asked for asked in self.channel.asked if asked.method == self._shape.name]

    def prepared(self, request: Any, timeout: float | None, metadata: Any) -> Callable[[], Any]:
        """A call that was checked and noted; to be begun in a loop."""
        if self._shape.client_streaming:
            requests = Requests(self._shape, request)
            pairs = self._note(requests.seen, metadata, timeout)
            answers = self._produce(aiter(requests), pairs)
            return lambda: self._call(answers, timeout).over(requests)
        asked = self._shape.asked(request)
        answers = self._produce(asked, self._note(asked, metadata, timeout))
        return lambda: self._call(answers, timeout)

    def _note(self, request: Any, metadata: Any, timeout: float | None) -> Metadata:
        pairs = tuple((str(key), value) for key, value in metadata or ())
        noted = Asked(method=self._shape.name, request=request, metadata=pairs, timeout=timeout)
        self.channel.asked.append(noted)
        return pairs


class _UnaryRequest(Method):
    def __call__(
        self,
        request: Message,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,  # noqa: ARG002 - as the next two,
        wait_for_ready: bool | None = None,  # noqa: ARG002 - nothing to a call without
        compression: grpc.Compression | None = None,  # noqa: ARG002 - a network
    ) -> Any:
        return self.prepared(request, timeout, metadata)()


class _StreamRequest(Method):
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: Any = None,
        *,
        credentials: grpc.CallCredentials | None = None,  # noqa: ARG002 - as above
        wait_for_ready: bool | None = None,  # noqa: ARG002
        compression: grpc.Compression | None = None,  # noqa: ARG002
    ) -> Any:
        return self.prepared(request_iterator, timeout, metadata)()
