"""The bus's contract: messages to use cases and back."""

from __future__ import annotations

from engine.mesh.v1 import bus_pb2, bus_pb2_grpc
from engine.mesh.v1.event_pb2 import Event
from mesh import context
from mesh.bus.dead_letters import DeadLetters
from mesh.bus.domain import Ask, Burial, DeadLetter, GroupKey, Logged, Settlement
from mesh.bus.service import Bus
from mesh.paging import DEFAULT_PAGE_SIZE, PageRequest


class BusRpc(bus_pb2_grpc.BusServiceServicer):
    """Serves `engine.mesh.v1.BusService`."""

    def __init__(self, bus: Bus, dead: DeadLetters) -> None:
        self._bus = bus
        self._dead = dead

    async def Append(self, request: bus_pb2.AppendRequest, _: object) -> bus_pb2.AppendResponse:
        source = context.current().service
        events = [_stamped(event, source) for event in request.events]
        return bus_pb2.AppendResponse(position=await self._bus.append(source, events))

    async def Poll(self, request: bus_pb2.PollRequest, _: object) -> bus_pb2.PollResponse:
        found = await self._bus.poll(_ask(request, context.current().service))
        response = bus_pb2.PollResponse(active=found is not None)
        for logged in found or ():
            _fill(response.events.add(), logged)
        return response

    async def ListEvents(
        self, request: bus_pb2.ListEventsRequest, _: object
    ) -> bus_pb2.ListEventsResponse:
        found = await self._bus.events(
            request.topic,
            request.after,
            request.page_size or DEFAULT_PAGE_SIZE,
            request.wait.ToNanoseconds() / 1e9,
        )
        response = bus_pb2.ListEventsResponse()
        for logged in found:
            _fill(response.events.add(), logged)
        return response

    async def ListGroups(
        self, _request: bus_pb2.ListGroupsRequest, _: object
    ) -> bus_pb2.ListGroupsResponse:
        return bus_pb2.ListGroupsResponse(
            groups=[
                bus_pb2.GroupOffset(
                    group=state.key.group,
                    topic=state.key.topic,
                    position=state.position,
                    lag=state.lag,
                    dead=state.dead,
                )
                for state in await self._bus.groups()
            ]
        )

    async def ListDeadLetters(
        self, request: bus_pb2.ListDeadLettersRequest, _: object
    ) -> bus_pb2.ListDeadLettersResponse:
        listing = f"dead-letters\n{request.group}"
        asked = PageRequest(listing=listing, size=request.page_size, token=request.page_token)
        page = await self._dead.page(request.group, asked)
        return bus_pb2.ListDeadLettersResponse(
            dead_letters=map(_letter, page.entries), next_page_token=page.next_token
        )

    async def ReplayDeadLetters(
        self, request: bus_pb2.ReplayDeadLettersRequest, _: object
    ) -> bus_pb2.ReplayDeadLettersResponse:
        replaying = await self._dead.replay(request.dead_letter_ids, request.group)
        return bus_pb2.ReplayDeadLettersResponse(replaying=replaying)


def _stamped(event: Event, source: str) -> tuple[str, bytes]:
    """Topic and bytes of an event that says who tells it."""
    event.source = source
    if not event.actor:  # a service's own work
        event.actor = f"mesh:{source}"
    return event.topic, event.SerializeToString()


def _ask(request: bus_pb2.PollRequest, service: str) -> Ask:
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


def _burial(buried: bus_pb2.Buried) -> Burial:
    return Burial(
        position=buried.position,
        dead_letter_id=buried.dead_letter_id,
        attempts=buried.attempts,
        error=buried.error,
    )


def _fill(message: bus_pb2.LoggedEvent, logged: Logged) -> None:
    """Make the message say what is logged; in place, for the copying of many is dear."""
    message.position = logged.position
    message.dead_letter_id = logged.dead_letter_id
    message.event.MergeFromString(logged.event)


def _letter(letter: DeadLetter) -> bus_pb2.DeadLetter:
    message = bus_pb2.DeadLetter(
        dead_letter_id=letter.logged.dead_letter_id,
        group=letter.key.group,
        attempts=letter.attempts,
        error=letter.error,
        replaying=letter.replaying,
    )
    _fill(message.logged, letter.logged)
    message.time.FromDatetime(letter.time)
    return message
