"""The materials centre as the reach centre sees it: approved words, filled."""

from __future__ import annotations

import hashlib

import grpc

from centers.reach.asking import gate
from centers.reach.gates import Rendered, Script
from engine.materials.v1 import materials_pb2, materials_pb2_grpc


class MaterialsClient:
    """Asks over a channel; who asks and the deadline travel with the call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = materials_pb2_grpc.MaterialsServiceStub(channel)

    async def render(self, script: Script) -> Rendered:
        """The filled script, or why it may not be used. The digest is of what would go out.

        Raises:
            MeshError: GATE_UNAVAILABLE.
            grpc.aio.AioRpcError: the centre refuses.
        """
        request = materials_pb2.ScreenScriptRequest(
            material_id=script.material_id, version=script.version, slots=script.slots
        )
        with gate("materials"):
            answer = await self._stub.ScreenScript(request)
        if answer.refusal or not answer.script.text:
            return Rendered(
                material_id=script.material_id,
                version=script.version,
                refusal=answer.refusal or "EMPTY",
            )
        filled = answer.script
        return Rendered(
            material_id=filled.material_id,
            version=filled.version,
            text=filled.text,
            sha256=hashlib.sha256(filled.text.encode()).hexdigest(),
            product_ids=tuple(filled.product_ids),
        )
