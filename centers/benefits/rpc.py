"""The benefits centre's contract: messages to use cases and back."""

from __future__ import annotations

from centers.benefits.activities import Activities
from centers.benefits.domain import Claim
from centers.benefits.grants import Giving
from engine.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from engine.mesh.v1.context_pb2 import ChainIds
from mesh import context
from mesh.paging import PageRequest


class BenefitsRpc(benefits_pb2_grpc.BenefitsServiceServicer):
    """Serves `engine.benefits.v1.BenefitsService`."""

    def __init__(self, activities: Activities, giving: Giving) -> None:
        self._activities = activities
        self._giving = giving

    async def DraftActivity(
        self, request: benefits_pb2.DraftActivityRequest, _: object
    ) -> benefits_pb2.DraftActivityResponse:
        return await self._activities.draft(
            request.activity,
            context.current().actor,
            lambda made: benefits_pb2.DraftActivityResponse(activity=made),
        )

    async def SubmitActivity(
        self, request: benefits_pb2.SubmitActivityRequest, _: object
    ) -> benefits_pb2.SubmitActivityResponse:
        return await self._activities.submit(
            request.activity_id,
            context.current().actor,
            lambda made: benefits_pb2.SubmitActivityResponse(activity=made),
        )

    async def ApproveActivity(
        self, request: benefits_pb2.ApproveActivityRequest, _: object
    ) -> benefits_pb2.ApproveActivityResponse:
        return await self._activities.approve(
            request.activity_id,
            context.current().actor,
            lambda made: benefits_pb2.ApproveActivityResponse(activity=made),
        )

    async def GetActivity(
        self, request: benefits_pb2.GetActivityRequest, _: object
    ) -> benefits_pb2.GetActivityResponse:
        found = await self._activities.get(request.activity_id)
        return benefits_pb2.GetActivityResponse(activity=found)

    async def ListActivities(
        self, request: benefits_pb2.ListActivitiesRequest, _: object
    ) -> benefits_pb2.ListActivitiesResponse:
        listing = PageRequest(
            listing="activities", size=request.page_size, token=request.page_token
        )
        page = await self._activities.page(listing)
        return benefits_pb2.ListActivitiesResponse(
            activities=page.entries, next_page_token=page.next_token
        )

    async def IssueStock(
        self, request: benefits_pb2.IssueStockRequest, _: object
    ) -> benefits_pb2.IssueStockResponse:
        return await self._giving.issue(
            request.activity_id,
            request.quantity,
            lambda counted: benefits_pb2.IssueStockResponse(stock=counted),
        )

    async def Claim(
        self, request: benefits_pb2.ClaimRequest, _: object
    ) -> benefits_pb2.ClaimResponse:
        return await self._giving.claim(
            _claim(request), lambda made: benefits_pb2.ClaimResponse(grant=made)
        )

    async def GetGrant(
        self, request: benefits_pb2.GetGrantRequest, _: object
    ) -> benefits_pb2.GetGrantResponse:
        return benefits_pb2.GetGrantResponse(grant=await self._giving.get(request.grant_id))

    async def ListGrants(
        self, request: benefits_pb2.ListGrantsRequest, _: object
    ) -> benefits_pb2.ListGrantsResponse:
        listing = PageRequest(
            listing=f"grants\n{request.customer_id}",
            size=request.page_size,
            token=request.page_token,
        )
        page = await self._giving.page(request.customer_id, listing)
        return benefits_pb2.ListGrantsResponse(grants=page.entries, next_page_token=page.next_token)

    async def RedeemGrant(
        self, request: benefits_pb2.RedeemGrantRequest, _: object
    ) -> benefits_pb2.RedeemGrantResponse:
        return await self._giving.redeem(
            request.grant_id, lambda made: benefits_pb2.RedeemGrantResponse(grant=made)
        )

    async def RevokeGrant(
        self, request: benefits_pb2.RevokeGrantRequest, _: object
    ) -> benefits_pb2.RevokeGrantResponse:
        return await self._giving.revoke(
            request.grant_id,
            request.reason,
            lambda made: benefits_pb2.RevokeGrantResponse(grant=made),
        )


def _claim(request: benefits_pb2.ClaimRequest) -> Claim:
    """The claim with the chain that the call carries, of the task that it names.

    A user's word does not make a benefit part of a scene: a service carries the chain.
    """
    present = context.current()
    chain = ChainIds(task_id=request.task_id)
    if present.service and request.task_id in (0, present.chain.task_id):
        chain.MergeFrom(present.chain)
    return Claim(
        activity_id=request.activity_id,
        customer_id=request.customer_id,
        reason_key=request.reason_key,
        chain=chain,
        actor=present.actor,
    )
