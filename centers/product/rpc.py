"""The product centre's contract: messages to use cases and back."""

from __future__ import annotations

from centers.product import wire
from centers.product.products import Products
from centers.product.suitability import Suitability
from engine.product.v1 import product_pb2, product_pb2_grpc
from mesh import context
from mesh.paging import PageRequest


class ProductRpc(product_pb2_grpc.ProductServiceServicer):
    """Serves `engine.product.v1.ProductService`."""

    def __init__(self, products: Products, suitability: Suitability) -> None:
        self._products = products
        self._suitability = suitability

    async def DraftProduct(
        self, request: product_pb2.DraftProductRequest, _: object
    ) -> product_pb2.DraftProductResponse:
        return await self._products.draft(
            request.product,
            context.current().actor,
            lambda made: product_pb2.DraftProductResponse(product=made),
        )

    async def SubmitProduct(
        self, request: product_pb2.SubmitProductRequest, _: object
    ) -> product_pb2.SubmitProductResponse:
        return await self._products.submit(
            request.product_id,
            context.current().actor,
            lambda made: product_pb2.SubmitProductResponse(product=made),
        )

    async def ApproveProduct(
        self, request: product_pb2.ApproveProductRequest, _: object
    ) -> product_pb2.ApproveProductResponse:
        return await self._products.approve(
            request.product_id,
            context.current().actor,
            lambda made: product_pb2.ApproveProductResponse(product=made),
        )

    async def SuspendProduct(
        self, request: product_pb2.SuspendProductRequest, _: object
    ) -> product_pb2.SuspendProductResponse:
        return await self._products.suspend(
            request.product_id, lambda made: product_pb2.SuspendProductResponse(product=made)
        )

    async def ResumeProduct(
        self, request: product_pb2.ResumeProductRequest, _: object
    ) -> product_pb2.ResumeProductResponse:
        return await self._products.resume(
            request.product_id, lambda made: product_pb2.ResumeProductResponse(product=made)
        )

    async def GetProduct(
        self, request: product_pb2.GetProductRequest, _: object
    ) -> product_pb2.GetProductResponse:
        found = await self._products.get(request.product_id, request.version)
        return product_pb2.GetProductResponse(product=found)

    async def ListProducts(
        self, request: product_pb2.ListProductsRequest, _: object
    ) -> product_pb2.ListProductsResponse:
        listing = PageRequest(
            listing=f"products\n{request.product_class}",
            size=request.page_size,
            token=request.page_token,
        )
        page = await self._products.page(listing, request.product_class)
        return product_pb2.ListProductsResponse(
            products=page.entries, next_page_token=page.next_token
        )

    async def ListShelf(
        self, request: product_pb2.ListShelfRequest, _: object
    ) -> product_pb2.ListShelfResponse:
        products = await self._suitability.shelf(request.customer_id)
        return product_pb2.ListShelfResponse(products=products)

    async def CheckSuitability(
        self, request: product_pb2.CheckSuitabilityRequest, _: object
    ) -> product_pb2.CheckSuitabilityResponse:
        return await self._suitability.check(
            request.customer_id,
            request.product_id,
            extra_care_done=request.extra_care_done,
            respond=lambda made: product_pb2.CheckSuitabilityResponse(
                suitability_check=wire.check(made)
            ),
        )

    async def CreateProposal(
        self, request: product_pb2.CreateProposalRequest, _: object
    ) -> product_pb2.CreateProposalResponse:
        return await self._suitability.propose(
            request,
            context.current().actor,
            lambda made: product_pb2.CreateProposalResponse(proposal=made),
        )

    async def ScreenSuitability(
        self, request: product_pb2.ScreenSuitabilityRequest, _: object
    ) -> product_pb2.ScreenSuitabilityResponse:
        return await self._suitability.check(
            request.customer_id,
            request.product_id,
            extra_care_done=request.extra_care_done,
            respond=lambda made: product_pb2.ScreenSuitabilityResponse(
                suitability_check=wire.check(made)
            ),
        )
