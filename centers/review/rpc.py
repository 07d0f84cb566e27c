"""The review centre's contract: messages to use cases and back."""

from __future__ import annotations

from centers.review import wire
from centers.review.behaviors import Filter, reach
from centers.review.service import Behaviors, Review
from engine.review.v1 import review_pb2, review_pb2_grpc
from mesh import context
from mesh.paging import PageRequest


class ReviewRpc(review_pb2_grpc.ReviewServiceServicer):
    """Serves `engine.review.v1.ReviewService`."""

    def __init__(self, behaviors: Behaviors, review: Review) -> None:
        self._behaviors = behaviors
        self._review = review

    async def ListBehaviors(
        self, request: review_pb2.ListBehaviorsRequest, _: object
    ) -> review_pb2.ListBehaviorsResponse:
        asked, caller = _filter(request), context.current()
        assert caller.principal is not None, "the policy has a scope, so that there is a user"
        listing = PageRequest(
            listing=f"behaviors\n{asked}", size=request.page_size, token=request.page_token
        )
        wanted = reach(asked, caller.principal, caller.scope)
        page = await self._behaviors.page(listing, wanted)
        return review_pb2.ListBehaviorsResponse(
            behaviors=map(wire.behavior, page.entries), next_page_token=page.next_token
        )

    async def CheckLog(
        self, _: review_pb2.CheckLogRequest, __: object
    ) -> review_pb2.CheckLogResponse:
        found = await self._behaviors.check()
        return review_pb2.CheckLogResponse(
            entries=found.entries, seal=found.seal, broken_at=found.broken_at or 0
        )

    async def GetFunnel(
        self, request: review_pb2.GetFunnelRequest, _: object
    ) -> review_pb2.GetFunnelResponse:
        found, tally = await self._review.funnel(request.scene_version)
        shown = wire.funnel(request.scene_version, found, tally.as_of)
        return review_pb2.GetFunnelResponse(funnel=shown)

    async def GetEffect(
        self, request: review_pb2.GetEffectRequest, _: object
    ) -> review_pb2.GetEffectResponse:
        found = await self._review.effect(request.scene_version)
        return review_pb2.GetEffectResponse(effect=wire.effect(found))


def _filter(request: review_pb2.ListBehaviorsRequest) -> Filter:
    return Filter(
        actor=request.actor or None,
        customer_id=request.customer_id or None,
        task_id=request.task_id or None,
        verb=request.verb or None,
    )
