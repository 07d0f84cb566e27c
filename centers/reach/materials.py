"""The materials centre as the reach centre sees it: approved words, filled."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import grpc

from centers.reach.asking import TIMEOUT_S, gate
from centers.reach.gates import Rendered, Script
from centers.reach.shared import Shared
from engine.materials.v1 import materials_pb2, materials_pb2_grpc

_Words: TypeAlias = tuple[int, int, tuple[tuple[str, str], ...]]
"""A script, its version, and what fills its slots, by name."""


class MaterialsClient:
    """Asks over a channel, once for all who say the same at a time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = materials_pb2_grpc.MaterialsServiceStub(channel)
        self._shared = Shared(self._ask)

    async def render(self, script: Script) -> Rendered:
        """The filled script, or why it may not be used. The digest is of what would go out.

        Raises:
            MeshError: GATE_UNAVAILABLE.
            grpc.aio.AioRpcError: the centre refuses.
        """
        slots = tuple(sorted(script.slots.items()))
        return await self._shared.get((script.material_id, script.version, slots))

    async def _ask(self, question: _Words) -> Rendered:
        material_id, version, slots = question
        request = materials_pb2.ScreenScriptRequest(
            material_id=material_id, version=version, slots=dict(slots)
        )
        with gate("materials"):
            answer = await self._stub.ScreenScript(request, timeout=TIMEOUT_S)
        if answer.refusal or not answer.script.text:
            refusal = answer.refusal or "EMPTY"
            return Rendered(material_id=material_id, version=version, refusal=refusal)
        filled = answer.script
        return Rendered(
            material_id=filled.material_id,
            version=filled.version,
            text=filled.text,
            sha256=hashlib.sha256(filled.text.encode()).hexdigest(),
            product_ids=tuple(filled.product_ids),
        )
