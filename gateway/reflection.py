"""Asks a running service for its contract, over the gateway's channel to it."""

from __future__ import annotations

import grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from mesh.reflection import Contract, only, questions


async def fetch(channel: grpc.aio.Channel, *, timeout_s: float) -> Contract:
    """Ask the service behind `channel` for its contract; each question is bounded.

    Raises:
        grpc.aio.AioRpcError: it cannot be reached.
        ContractError: its answers make no whole contract.
    """
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asking = questions()
    question = next(asking)
    while True:
        call = stub.ServerReflectionInfo(iter((question,)), timeout=timeout_s)
        answer = only([answer async for answer in call])
        try:
            question = asking.send(answer)
        except StopIteration as end:
            contract: Contract = end.value
            return contract
