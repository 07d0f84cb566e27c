"""The running sequencer, as commands of `engine seq` talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cli.connect import blocking_channel
from cli.output import fail

if TYPE_CHECKING:
    import grpc

    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
    from mesh.errors import ErrorView

PAGE: Final = 1_000
"""Entries asked for at a time."""

_OF_KIND: Final = {
    "SNOWFLAKE": "Programs make its ids: 'sequencer.snowflake(\"{name}\").next_id()'."
    " 'engine seq workers {name}' shows which ones do.",
    "GAPLESS": "Its numbers are reserved and then confirmed: 'engine seq reserve {name}',"
    " or 'sequencer.gapless(\"{name}\")' in a program.",
    "SEGMENT": "Take ids with 'engine seq next {name}'.",
    "STRICT": "Take ids with 'engine seq next {name}'.",
}


@contextmanager
def connected() -> Iterator[grpc.Channel]:
    """A channel to the sequencer; an error of a call ends the program with its next step."""
    import grpc

    from mesh.errors import ErrorView

    with blocking_channel("sequencer") as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            view = ErrorView.from_rpc(error)
            fail(view.message, next_step(view))


@contextmanager
def sequencer() -> Iterator[SequencerServiceStub]:
    """The service of sequences and their logs."""
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    with connected() as channel:
        yield SequencerServiceStub(channel)


def next_step(view: ErrorView) -> str:
    """What to do about a refusal, with the sequence's name in it where that is known."""
    name = view.metadata.get("sequence", "NAME")
    if view.reason == "KIND_MISMATCH" and (kind := view.metadata.get("kind")) in _OF_KIND:
        return _OF_KIND[kind].format(name=name)
    return view.next_step.replace("NAME", name)


def get(stub: SequencerServiceStub, name: str) -> pb.Sequence:
    """One sequence."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    return stub.GetSequence(pb.GetSequenceRequest(name=name)).sequence


def find(stub: SequencerServiceStub, name: str) -> pb.Sequence | None:
    """One sequence; None when there is none of that name."""
    import grpc

    from mesh.errors import ErrorView

    try:
        return get(stub, name)
    except grpc.RpcError as error:
        if ErrorView.from_rpc(error).reason == "SEQUENCE_NOT_FOUND":
            return None
        raise


def paged(call: Callable[[Any], Any], request: Any, field: str, *, limit: int = 0) -> Iterator[Any]:
    """What a listing answers in `field`, page by page; all of it, or `limit` at most."""
    given = 0
    while True:
        request.page_size = min(PAGE, limit - given) if limit else PAGE
        answer = call(request)
        found = getattr(answer, field)
        yield from found
        given += len(found)
        if not answer.next_page_token or (limit and given >= limit):
            return
        request.page_token = answer.next_page_token
