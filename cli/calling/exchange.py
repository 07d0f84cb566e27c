"""One call, of any of the four kinds, and what can be told of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from cli.calling.catalogue import Row
from cli.calling.requests import RequestError
from mesh.context import Metadata

TIMEOUT_S: Final = 30.0
"""Bound of a call that answers once, when none is given."""

PLAIN: Final = "plain gRPC"
LANE: Final = "lane"
"""By which way a call went; a lane says so where grpc speaks to developers."""

STREAM_TIMEOUT_S: Final = 86_400.0
"""Bound of a call that answers with a stream, likewise: a watch of a day."""


@dataclass(slots=True)
class Told:
    """What a call told beside its answers. `code` and `way` are empty until it ended."""

    code: str = ""
    way: str = ""
    initial: Any = ()
    trailing: Any = ()
    answers: int = 0
    elapsed_s: float = 0.0

    def read(self, call: Any) -> None:
        """Take status, way and metadata of a call that ended."""
        self.code = call.code().name
        by_lane = getattr(call, "debug_error_string", str)().startswith(f"{LANE}:")
        self.way = LANE if by_lane else PLAIN
        self.initial = call.initial_metadata() or ()
        self.trailing = call.trailing_metadata() or ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A call over a channel.

    Args:
        channel: to the server of the method.
        metadata: sent beside what the channel sends by itself.
        timeout_s: bound of the whole call; None: 30 seconds, and a day for an answer that
            is a stream.
    """

    channel: grpc.Channel
    row: Row
    metadata: Metadata = ()
    timeout_s: float | None = None
    told: Told = field(default_factory=Told)

    def run(self, requests: Iterable[Message]) -> Iterator[Message]:
        """Iterate over the answers, each as it comes; then `told` is complete.

        Args:
            requests: the one request; of a client stream all, taken while the call runs.

        Raises:
            grpc.RpcError: the call fails.
            RequestError: a request of the stream cannot be sent; the call was cancelled.
        """
        stream = _Stream(requests) if self.row.descriptor.client_streaming else None
        began = time.perf_counter()
        try:
            yield from self._answers(stream or next(iter(requests)), stream)
        except grpc.RpcError as error:
            if stream is not None and stream.error is not None:
                raise stream.error from error
            self.told.read(error)
            raise
        finally:
            self.told.elapsed_s = time.perf_counter() - began

    def _answers(self, request: Any, stream: _Stream | None) -> Iterator[Message]:
        send = self._method()
        options = {"metadata": self.metadata, "timeout": self._timeout_s()}
        if self.row.descriptor.server_streaming:
            call = send(request, **options)
            _started(stream, call)
            for answer in call:
                self.told.answers += 1
                yield answer
        elif stream is not None:
            call = send.future(request, **options)
            _started(stream, call)
            yield self._result(call)
        else:
            answer, call = send.with_call(request, **options)
            self.told.answers = 1
            yield answer
        self.told.read(call)

    def _result(self, call: Any) -> Message:
        """The one answer to a stream of requests."""
        try:
            answer: Message = call.result()
        except grpc.FutureCancelledError as error:  # no RpcError, though the call itself is one
            raise call from error
        self.told.answers = 1
        return answer

    def _method(self) -> Any:
        """The channel's callable; bytes of the descriptor's own messages on both sides."""
        found = self.row.descriptor
        kinds: dict[tuple[bool, bool], Any] = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }
        request, answer = map(
            message_factory.GetMessageClass, (found.input_type, found.output_type)
        )
        return kinds[found.client_streaming, found.server_streaming](
            self.row.path,
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )

    def _timeout_s(self) -> float:
        if self.timeout_s is not None:
            return self.timeout_s
        return STREAM_TIMEOUT_S if self.row.descriptor.server_streaming else TIMEOUT_S


class _Stream:
    """Requests as grpc's own thread takes them; an error cancels the call and is kept.

    Ending the stream instead would have the server take a part for the whole.
    """

    def __init__(self, requests: Iterable[Message]) -> None:
        self._requests = iter(requests)
        self._started = Event()
        self._call: Any = None
        self.error: RequestError | None = None

    def start(self, call: Any) -> None:
        """Name the call that is cancelled."""
        self._call = call
        self._started.set()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        try:
            return next(self._requests)
        except RequestError as error:
            self.error = error
            self._started.wait()
            self._call.cancel()
            raise StopIteration from error


def _started(stream: _Stream | None, call: Any) -> None:
    if stream is not None:
        stream.start(call)
