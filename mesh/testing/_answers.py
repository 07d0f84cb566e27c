"""What a fake answers with: messages, errors, and callables that make them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from google.protobuf.message import Message

from mesh.context import Metadata
from mesh.errors import MeshError, MeshReason
from mesh.testing._contract import Shape

Piece: TypeAlias = Message | Exception
Answer: TypeAlias = Piece | Iterable[Piece] | AsyncIterable[Piece] | Callable[..., Any]
"""A message, or for a stream messages; an error to fail with, also as the last of a stream;
or a callable, async or not, which is given the request, or request and metadata."""

Produce: TypeAlias = Callable[[Any, Metadata], AsyncGenerator[Message]]
"""Answers a call: is given the request, or an async iterator of requests, and the metadata."""


def producer(shape: Shape, answer: Answer) -> Produce:
    """What answers calls of a method.

    Raises:
        TypeError: the contract wants another answer; found now as far as that can be.
    """
    make = _maker(shape, answer)

    async def produce(request: Any, metadata: Metadata) -> AsyncGenerator[Message]:
        given = make(request, metadata)
        if inspect.isawaitable(given):
            given = await given
        async with aclosing(_pieces(shape, given)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield shape.answered(piece)

    return produce


def no_answer(shape: Shape) -> Produce:
    """What answers a method that the mapping leaves out: UNIMPLEMENTED."""
    where = f"fake({shape.service}Stub, …)"
    missing = f"{where} has no answer for {shape.name}: add it to the mapping"
    return producer(shape, MeshError(MeshReason.UNKNOWN_METHOD, missing))


def _maker(shape: Shape, answer: Any) -> Callable[[Any, Metadata], Any]:
    if isinstance(answer, type):
        raise TypeError(f"{shape.name}: give an instance of {answer.__name__}, not the class")
    if callable(answer):
        return _called(shape, answer)
    if isinstance(answer, Exception):
        return lambda _request, _metadata: answer
    _check(shape, answer)
    once = shape.server_streaming and _is_iterator(answer)
    fixed = _once(shape, answer) if once else lambda: answer
    return _heard_out(fixed) if shape.client_streaming else lambda _request, _metadata: fixed()


def _called(shape: Shape, answer: Callable[..., Any]) -> Callable[[Any, Metadata], Any]:
    signature = inspect.signature(answer)
    for count in (1, 2):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return partial(_first, answer, count)
    raise TypeError(f"{shape.name}: a callable takes request, or request and metadata")


def _first(answer: Callable[..., Any], count: int, *given: Any) -> Any:
    return answer(*given[:count])


def _check(shape: Shape, answer: Any) -> None:
    """Find what is wrong with an answer that can be looked at without using it up."""
    if not shape.server_streaming:
        shape.answered(answer)
    elif not isinstance(answer, (Iterable, AsyncIterable)):
        wanted = shape.response.DESCRIPTOR.full_name
        raise TypeError(f"{shape.name} answers a stream: give an iterable of {wanted}")
    elif isinstance(answer, (list, tuple)):
        for piece in answer:
            if not isinstance(piece, Exception):
                shape.answered(piece)


def _heard_out(fixed: Callable[[], Any]) -> Callable[[Any, Metadata], Any]:
    """A fixed answer to a stream of requests, given when the stream has ended."""

    async def answered(requests: AsyncIterator[Message], _metadata: Metadata) -> Any:
        async for _ in requests:
            pass
        return fixed()

    return answered


def _is_iterator(answer: Any) -> bool:
    return hasattr(answer, "__next__") or hasattr(answer, "__anext__")


def _once(shape: Shape, answer: Any) -> Callable[[], Any]:
    """An iterator serves one call; a second would be answered with its rest, or with nothing."""
    left = [answer]

    def taken() -> Any:
        if not left:
            raise TypeError(
                f"{shape.name} was called again, and its iterator is used up: "
                "give a list, or a callable that makes a new one"
            )
        return left.pop()

    return taken


async def _pieces(shape: Shape, given: Any) -> AsyncGenerator[Any]:
    if not shape.server_streaming or isinstance(given, Exception):
        yield given
    elif isinstance(given, AsyncGenerator):
        async with aclosing(given):
            async for piece in given:
                yield piece
    elif isinstance(given, AsyncIterable):
        async for piece in given:
            yield piece
    else:
        _check(shape, given)
        for piece in given:
            yield piece
