"""The bus's contract: messages to use cases and back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from engine.mesh.v1 import bus_pb2, bus_pb2_grpc
from mesh import context
from mesh.bus.dead_letters import DeadLetters
from mesh.bus.domain import Ask, GroupState, Logged
from mesh.bus.wire import fill, stamped, to_ask, to_letter
from mesh.paging import DEFAULT_PAGE_SIZE, PageRequest


class Log(Protocol):
    """Takes events in and hands them to groups."""

    async def append(self, source: str, events: Collection[tuple[str, bytes]]) -> int:
        """Store topics and events that a service tells; the place of the last one."""

    async def poll(self, ask: Ask) -> Sequence[Logged] | None:
        """The next events for a member; None while another one is served."""


class View(Protocol):
    """Shows what is in the log."""

    async def events(self, topic: str, after: int, most: int, wait_s: float) -> Sequence[Logged]:
        """Events behind a place, or the newest, waiting for the first of them."""

    async def groups(self) -> Sequence[GroupState]:
        """Every group with how far it is."""


class BusRpc(bus_pb2_grpc.BusServiceServicer):
    """Serves `engine.mesh.v1.BusService`."""

    def __init__(self, log: Log, view: View, dead: DeadLetters) -> None:
        self._log = log
        self._view = view
        self._dead = dead

    async def Append(self, request: bus_pb2.AppendRequest, _: object) -> bus_pb2.AppendResponse:
        source = context.current().service
        events = [stamped(event, source) for event in request.events]
        return bus_pb2.AppendResponse(position=await self._log.append(source, events))

    async def Poll(self, request: bus_pb2.PollRequest, _: object) -> bus_pb2.PollResponse:
        found = await self._log.poll(to_ask(request, context.current().service))
        response = bus_pb2.PollResponse(active=found is not None)
        for logged in found or ():
            fill(response.events.add(), logged)
        return response

    async def ListEvents(
        self, request: bus_pb2.ListEventsRequest, _: object
    ) -> bus_pb2.ListEventsResponse:
        found = await self._view.events(
            request.topic,
            request.after,
            request.page_size or DEFAULT_PAGE_SIZE,
            request.wait.ToNanoseconds() / 1e9,
        )
        response = bus_pb2.ListEventsResponse()
        for logged in found:
            fill(response.events.add(), logged)
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
                for state in await self._view.groups()
            ]
        )

    async def ListDeadLetters(
        self, request: bus_pb2.ListDeadLettersRequest, _: object
    ) -> bus_pb2.ListDeadLettersResponse:
        listing = f"dead-letters\n{request.group}"
        asked = PageRequest(listing=listing, size=request.page_size, token=request.page_token)
        page = await self._dead.page(request.group, asked)
        return bus_pb2.ListDeadLettersResponse(
            dead_letters=map(to_letter, page.entries), next_page_token=page.next_token
        )

    async def ReplayDeadLetters(
        self, request: bus_pb2.ReplayDeadLettersRequest, _: object
    ) -> bus_pb2.ReplayDeadLettersResponse:
        replaying = await self._dead.replay(request.dead_letter_ids, request.group)
        return bus_pb2.ReplayDeadLettersResponse(replaying=replaying)
