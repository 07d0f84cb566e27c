"""The other servers of the sequencer, asked what they have seen."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final

import grpc

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.app import host_id
from mesh.channel import Channel
from mesh.context import CALLER, Metadata
from mesh.lane.dial import Tls
from mesh.log import get_logger
from mesh.registry import Entry, Registry
from mesh.tokens import ServiceKey
from sequencer.entry import Witness
from sequencer.messages import witness

TIMEOUT_S: Final = 0.5
"""How long a server is waited for. One that is silent may know more than the others."""

AVOIDED_S: Final = 5.0
"""How long one that was silent is asked only when it matters most."""

_log: Final = get_logger(__name__)


class MeshPeers:
    """`Peers` by the registry; this server is among them, and answers like all others."""

    def __init__(self, service: str, registry: Registry, key: ServiceKey, tls: Tls | None) -> None:
        self._service = service
        self._registry = registry
        self._key = key
        self._tls = tls
        self._avoided: dict[str, float] = {}

    async def witnesses(self, name: str, *, patient: bool = True) -> Sequence[Witness]:
        entries = self._registry.lookup(self._service)
        addresses = [entry.address for entry in entries if patient or self._is_quick(entry)]
        found = await asyncio.gather(*(self._asked(address, name) for address in addresses))
        return [one for one in found if one is not None]

    def _is_quick(self, entry: Entry) -> bool:
        """Whether it is another process, and was not silent of late."""
        if (entry.host_id, entry.pid) == (host_id(), os.getpid()):
            return False
        return self._avoided.get(entry.address, 0.0) < time.monotonic()

    async def _asked(self, address: str, name: str) -> Witness | None:
        asked = Channel(self._service, lambda: [address], self._proofs, tls=self._tls)
        async with asked as channel:
            try:
                answer = await SequencerServiceStub(channel).GetWitness(
                    pb.GetWitnessRequest(name=name), timeout=TIMEOUT_S
                )
            except grpc.RpcError as error:
                _log.warning("peer_silent", address=address, code=str(error.code()))
                self._avoided[address] = time.monotonic() + AVOIDED_S
                return None
        self._avoided.pop(address, None)
        return witness(answer.witness) if answer.HasField("witness") else None

    def _proofs(self) -> Metadata:
        return ((CALLER, self._key.token()),)
