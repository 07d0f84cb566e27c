"""The customer centre's contracts: messages to use cases and back."""

from __future__ import annotations

from centers.customer import wire
from centers.customer.domain import Reach
from centers.customer.follow_ups import FollowUps
from centers.customer.service import Customers
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1 import ownership_pb2, ownership_pb2_grpc, policy_pb2
from mesh import context
from mesh.context import Principal
from mesh.ownership import ownership


class CustomerRpc(customer_pb2_grpc.CustomerServiceServicer):
    """Serves `engine.customer.v1.CustomerService`."""

    def __init__(self, customers: Customers, follow_ups: FollowUps) -> None:
        self._customers = customers
        self._follow_ups = follow_ups

    async def GetCustomer(
        self, request: customer_pb2.GetCustomerRequest, _: object
    ) -> customer_pb2.GetCustomerResponse:
        found = await self._customers.customer(request.customer_id)
        return customer_pb2.GetCustomerResponse(customer=wire.customer(found))

    async def ListCustomers(
        self, request: customer_pb2.ListCustomersRequest, _: object
    ) -> customer_pb2.ListCustomersResponse:
        current = context.current()
        page = await self._customers.book(
            _reach(current.principal, current.scope),
            wire.conditions(request.filter),
            wire.order(request.order_by),
            wire.customers_page(request),
        )
        return customer_pb2.ListCustomersResponse(
            customers=map(wire.customer, page.entries), next_page_token=page.next_token
        )

    async def GetPortrait(
        self, request: customer_pb2.GetPortraitRequest, _: object
    ) -> customer_pb2.GetPortraitResponse:
        portrait = await self._customers.portrait(request.customer_id)
        return customer_pb2.GetPortraitResponse(portrait=wire.portrait(portrait))

    async def CreateFollowUp(
        self, request: customer_pb2.CreateFollowUpRequest, _: object
    ) -> customer_pb2.CreateFollowUpResponse:
        return await self._follow_ups.create(
            request.customer_id,
            wire.draft(request.follow_up),
            context.current().actor,
            lambda made: customer_pb2.CreateFollowUpResponse(follow_up=wire.follow_up(made)),
        )

    async def GetFollowUp(
        self, request: customer_pb2.GetFollowUpRequest, _: object
    ) -> customer_pb2.GetFollowUpResponse:
        found = await self._follow_ups.get(request.customer_id, request.follow_up_id)
        return customer_pb2.GetFollowUpResponse(follow_up=wire.follow_up(found))

    async def ListFollowUps(
        self, request: customer_pb2.ListFollowUpsRequest, _: object
    ) -> customer_pb2.ListFollowUpsResponse:
        page = await self._follow_ups.page(request.customer_id, wire.follow_ups_page(request))
        return customer_pb2.ListFollowUpsResponse(
            follow_ups=map(wire.follow_up, page.entries), next_page_token=page.next_token
        )

    async def UpdateFollowUp(
        self, request: customer_pb2.UpdateFollowUpRequest, _: object
    ) -> customer_pb2.UpdateFollowUpResponse:
        return await self._follow_ups.update(
            request.customer_id,
            request.follow_up.follow_up_id,
            wire.change(request),
            request.follow_up.etag,
            lambda made: customer_pb2.UpdateFollowUpResponse(follow_up=wire.follow_up(made)),
        )

    async def ImportCustomers(
        self, request: customer_pb2.ImportCustomersRequest, _: object
    ) -> customer_pb2.ImportCustomersResponse:
        stored = await self._customers.take_in(wire.imported(request))
        return customer_pb2.ImportCustomersResponse(stored=stored)

    async def BatchGetCustomers(
        self, request: customer_pb2.BatchGetCustomersRequest, _: object
    ) -> customer_pb2.BatchGetCustomersResponse:
        found = await self._customers.customers(request.customer_ids)
        return customer_pb2.BatchGetCustomersResponse(customers=map(wire.customer, found))

    async def GetStatistics(
        self, _request: customer_pb2.GetStatisticsRequest, _: object
    ) -> customer_pb2.GetStatisticsResponse:
        statistics = await self._customers.statistics()
        return customer_pb2.GetStatisticsResponse(
            customers=statistics.customers, follow_ups=statistics.follow_ups
        )


class OwnershipRpc(ownership_pb2_grpc.OwnershipServiceServicer):
    """Serves `engine.mesh.v1.OwnershipService`."""

    def __init__(self, customers: Customers) -> None:
        self._customers = customers

    async def GetOwners(
        self, request: ownership_pb2.GetOwnersRequest, _: object
    ) -> ownership_pb2.GetOwnersResponse:
        found = await self._customers.owners(request.customer_ids)
        return ownership_pb2.GetOwnersResponse(owners=map(ownership, found))


def _reach(principal: Principal | None, scope: policy_pb2.Scope.ValueType) -> Reach:
    if principal is None:
        return Reach.within(policy_pb2.SCOPE_UNSPECIFIED, staff_id=0, branch_id=0)
    return Reach.within(scope, staff_id=principal.staff_id, branch_id=principal.branch_id)
