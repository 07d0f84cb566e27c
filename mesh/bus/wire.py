"""Messages of the bus to what its use cases take, and back."""

from __future__ import annotations

from engine.mesh.v1 import bus_pb2
from engine.mesh.v1.event_pb2 import Event
from mesh.bus.domain import Ask, Burial, DeadLetter, GroupKey, Logged, Settlement


def stamped(event: Event, source: str) -> tuple[str, bytes]:
    """Topic and bytes of an event that says who tells it."""
    event.source = source
    if not event.actor:  # a service's own work
        event.actor = f"mesh:{source}"
    return event.topic, event.SerializeToString()


def to_ask(request: bus_pb2.PollRequest, service: str) -> Ask:
    """What a member of a group of the service asks for."""
    settled = request.settled
    return Ask(
        key=GroupKey(group=f"{service}.{request.group}", topic=request.topic),
        member=request.member,
        most=request.max_events,
        wait_s=request.wait.ToNanoseconds() / 1e9,
        settlement=Settlement(
            position=settled.position,
            buried=[*map(_burial, settled.buried)],
            replayed=settled.replayed,
        ),
        leaving=request.leaving,
        renewing=request.renewing,
    )


def fill(message: bus_pb2.LoggedEvent, logged: Logged) -> None:
    """Make the message say what is logged; in place, for the copying of many is dear."""
    message.position = logged.position
    message.dead_letter_id = logged.dead_letter_id
    message.event.MergeFromString(logged.event)


def to_letter(letter: DeadLetter) -> bus_pb2.DeadLetter:
    """The message of a dead letter."""
    message = bus_pb2.DeadLetter(
        dead_letter_id=letter.logged.dead_letter_id,
        group=letter.key.group,
        attempts=letter.attempts,
        error=letter.error,
        replaying=letter.replaying,
    )
    fill(message.logged, letter.logged)
    message.time.FromDatetime(letter.time)
    return message


def _burial(buried: bus_pb2.Buried) -> Burial:
    return Burial(
        position=buried.position,
        dead_letter_id=buried.dead_letter_id,
        attempts=buried.attempts,
        error=buried.error,
    )
