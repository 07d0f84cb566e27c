"""A gRPC client that knows nothing of ours but contracts: a process of its own.

`python -m tests.integration.registry.stock_client xds:///SERVICE` reads what to do from standard
input, a line each, and answers a line of JSON: the bootstrap is read once per process, from
`GRPC_XDS_BOOTSTRAP_CONFIG`.

    call N [HEADER=VALUE]   call N times; how often each instance answered, and each failure
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import grpc
import uvloop

from engine.mesh.v1 import trust_pb2, trust_pb2_grpc

CALL_S = 10.0


async def main(target: str) -> None:
    """Do what is asked for until there is no more."""
    loop = asyncio.get_running_loop()
    async with opened(target, os.environ.get("CERTIFICATES")) as channel:
        while (line := await loop.run_in_executor(None, sys.stdin.readline)).split()[:1] == [
            "call"
        ]:
            _, times, *headers = line.split()
            pairs = (header.partition("=") for header in headers)
            metadata = [(name, value) for name, _, value in pairs]
            print(json.dumps(await called(channel, int(times), metadata)), flush=True)


def opened(target: str, certificates: str | None) -> grpc.aio.Channel:
    """A channel; over TLS with the files of CA, private key and certificate that are named."""
    if certificates is None:
        return grpc.aio.insecure_channel(target)
    files = (Path(name).read_bytes() for name in certificates.split(","))
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*files))


async def called(
    channel: grpc.aio.Channel, times: int, metadata: Sequence[tuple[str, str]]
) -> dict[str, int]:
    """Where calls arrived, and how others failed."""
    stub = trust_pb2_grpc.TrustServiceStub(channel)
    counted: Counter[str] = Counter()
    for _ in range(times):
        try:
            answer = await stub.GetKeySet(
                trust_pb2.GetKeySetRequest(), timeout=CALL_S, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            counted[error.code().name] += 1
        else:
            counted[answer.keys[0].kid] += 1
    return dict(counted)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
