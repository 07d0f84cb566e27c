"""The Data Ark as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.ark.rpc import ArkRpc
from centers.ark.service import Ark
from centers.ark.store import ArkStore
from centers.ark.tokens import PermutedTokens, load_key
from engine.ark.v1 import ark_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk import Sequencer, mesh_source

KEY_FILE: Final = "ark-permutation.key"
SEQUENCE: Final = "ark.customer_token"


def build(parts: Parts) -> Service:
    """The Ark from its parts; makes the key of its tokens at the first start."""
    sequencer = Sequencer(mesh_source(parts.registry, parts.key), create_missing=True)
    key = load_key(parts.settings.key_dir / KEY_FILE)
    tokens = PermutedTokens(sequencer.sequence(SEQUENCE), key)
    store = ArkStore(parts.store, parts.clock)
    ark = Ark(store, store, tokens, parts.clock)
    contract = ark_pb2.DESCRIPTOR.services_by_name["ArkService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=ArkRpc(ark))],
        resources=[sequencer],
    )


BLUEPRINT: Final = Blueprint(
    name="ark",
    build=build,
    after=("identity", "sequencer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=frozenset({"sequencer.lease", "sequencer.create"}),
)
