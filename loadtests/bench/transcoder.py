"""Suite `transcoder`: the gateway's JSON codec against `google.protobuf.json_format`.

The message is a portrait with five follow-ups, about 1.8 KB of JSON. Both sides go the whole
way from wire bytes to JSON bytes and back; what both need from protobuf is in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from google.protobuf import descriptor_pool, json_format

from engine.customer.v1 import customer_pb2
from gateway.codec import JsonCodec, JsonTypes
from loadtests.bench import Figure, Run

PEER: Final = "google.protobuf.json_format"
BATCH: Final = 50
CUSTOMER_ID: Final = 620_000_123_456


def figures(run: Run) -> Iterator[Figure]:
    """Rates of both directions, and what one message costs."""
    portrait = customer_pb2.Portrait.DESCRIPTOR
    codec = JsonCodec(JsonTypes(descriptor_pool.Default()), portrait, portrait)
    wire = _portrait().SerializeToString()
    text = codec.print(_portrait())

    def to_json() -> bytes:
        return codec.print(customer_pb2.Portrait.FromString(wire))

    def to_wire() -> bytes:
        return codec.parse(text).SerializeToString()

    def peer_to_json() -> bytes:
        message = customer_pb2.Portrait.FromString(wire)
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()

    def peer_to_wire() -> bytes:
        return json_format.Parse(text, customer_pb2.Portrait()).SerializeToString()

    for name, ours, peer in (
        ("wire → JSON, portraits/s", to_json, peer_to_json),
        ("JSON → wire, portraits/s", to_wire, peer_to_wire),
    ):
        yield run.ratio(f"{name} ÷ peer", _rate(run, ours), _rate(run, peer), against=PEER)
        yield run.report(f"{name}, one portrait", 1e6 / _rate(run, ours)(), "µs")


def _rate(run: Run, step: Callable[[], bytes]) -> Callable[[], float]:
    def batch() -> int:
        for _ in range(BATCH):
            step()
        return BATCH

    return lambda: run.rate(batch)


def _portrait() -> customer_pb2.Portrait:
    portrait = customer_pb2.Portrait(
        customer=customer_pb2.Customer(
            customer_id=CUSTOMER_ID,
            tier=customer_pb2.TIER_AUM50,
            risk_grade=customer_pb2.RISK_GRADE_C3,
            owner_id=7001,
            branch_id=12,
            has_wecom=True,
        ),
        name="王**",
        phone="138****1234",
        id_card="330***********123X",
        aum_band="500k-1m",
    )
    portrait.as_of.FromSeconds(1_770_000_000)
    for number in range(5):
        follow_up = portrait.recent_follow_ups.add(
            follow_up_id=CUSTOMER_ID + number,
            customer_id=CUSTOMER_ID,
            summary="Asked about a deposit that ends in March; wants to hear of alternatives.",
            next_step="Call again with two offers.",
            author="rm001",
            etag=f"v{number}",
        )
        follow_up.create_time.FromSeconds(1_760_000_000 + number)
        follow_up.update_time.FromSeconds(1_765_000_000 + number)
    return portrait
