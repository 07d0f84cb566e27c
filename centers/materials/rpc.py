"""The materials centre's contract: messages to use cases and back."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import grpc
from google.api import httpbody_pb2

from centers.materials.approval import Approval
from centers.materials.documents import Documents
from centers.materials.drafting import Drafting
from centers.materials.reading import Reading
from centers.materials.scripts import Scripts
from engine.materials.v1 import materials_pb2, materials_pb2_grpc
from mesh import context
from mesh.edge import HttpEdge
from mesh.paging import PageRequest

APPROVE: Final = "materials.approve"
"""Who may approve sees what waits for approval."""


class MaterialsRpc(materials_pb2_grpc.MaterialsServiceServicer):
    """Serves `engine.materials.v1.MaterialsService`."""

    def __init__(
        self,
        drafting: Drafting,
        approval: Approval,
        reading: Reading,
        *,
        scripts: Scripts,
        documents: Documents,
    ) -> None:
        self._drafting = drafting
        self._approval = approval
        self._reading = reading
        self._scripts = scripts
        self._documents = documents

    async def DraftMaterial(
        self, request: materials_pb2.DraftMaterialRequest, _: object
    ) -> materials_pb2.DraftMaterialResponse:
        return await self._drafting.draft(
            request.material,
            context.current().actor,
            lambda made: materials_pb2.DraftMaterialResponse(material=made),
        )

    async def UploadContent(
        self, request: materials_pb2.UploadContentRequest, _: object
    ) -> materials_pb2.UploadContentResponse:
        size = await self._drafting.upload(
            request.material_id, request.offset, request.chunk, context.current().actor
        )
        return materials_pb2.UploadContentResponse(size_bytes=size)

    async def SubmitMaterial(
        self, request: materials_pb2.SubmitMaterialRequest, _: object
    ) -> materials_pb2.SubmitMaterialResponse:
        return await self._approval.submit(
            request.material_id,
            context.current().actor,
            lambda made: materials_pb2.SubmitMaterialResponse(material=made),
        )

    async def ApproveMaterial(
        self, request: materials_pb2.ApproveMaterialRequest, _: object
    ) -> materials_pb2.ApproveMaterialResponse:
        return await self._approval.approve(
            request.material_id,
            context.current().actor,
            lambda made: materials_pb2.ApproveMaterialResponse(material=made),
        )

    async def RecallMaterial(
        self, request: materials_pb2.RecallMaterialRequest, _: object
    ) -> materials_pb2.RecallMaterialResponse:
        return await self._approval.recall(
            request.material_id,
            request.reason,
            lambda made: materials_pb2.RecallMaterialResponse(material=made),
        )

    async def GetMaterial(
        self, request: materials_pb2.GetMaterialRequest, _: object
    ) -> materials_pb2.GetMaterialResponse:
        found = await self._reading.get(request.material_id, request.version)
        return materials_pb2.GetMaterialResponse(material=found)

    async def ListMaterials(
        self, request: materials_pb2.ListMaterialsRequest, _: object
    ) -> materials_pb2.ListMaterialsResponse:
        listing = PageRequest(
            listing=f"materials\n{request.material_type}",
            size=request.page_size,
            token=request.page_token,
        )
        page = await self._reading.page(listing, request.material_type)
        return materials_pb2.ListMaterialsResponse(
            materials=page.entries, next_page_token=page.next_token
        )

    async def RenderScript(
        self, request: materials_pb2.RenderScriptRequest, _: object
    ) -> materials_pb2.RenderScriptResponse:
        filled = await self._scripts.render(request.material_id, request.version, request.slots)
        return materials_pb2.RenderScriptResponse(script=filled)

    async def ScreenScript(
        self, request: materials_pb2.ScreenScriptRequest, _: object
    ) -> materials_pb2.ScreenScriptResponse:
        return await self._scripts.screen(request.material_id, request.version, request.slots)

    async def GetManifest(
        self, request: materials_pb2.GetManifestRequest, _: object
    ) -> materials_pb2.GetManifestResponse:
        found = await self._documents.manifest(request, review=_reviews())
        return materials_pb2.GetManifestResponse(manifest=found)

    async def GetContent(
        self,
        request: materials_pb2.GetContentRequest,
        transport: grpc.aio.ServicerContext[Any, Any],
    ) -> httpbody_pb2.HttpBody:
        content = await self._documents.content(request, review=_reviews())
        wanted = await HttpEdge(transport).deliver(
            length=content.size_bytes,
            etag=content.etag,
            headers=[
                ("cache-control", "private, no-cache"),  # a recalled one is not shown again
                ("content-disposition", f"inline; filename*=UTF-8''{quote(content.title)}.pdf"),
                ("x-content-sha256", content.sha256),
            ],
        )
        data = await content.read(wanted.start, wanted.stop)
        return httpbody_pb2.HttpBody(content_type="application/pdf", data=data)


def _reviews() -> bool:
    principal = context.current().principal
    return principal is not None and APPROVE in principal.permissions
