"""A stock client as a test has it: a process, and what it is asked for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
INSECURE = {"type": "insecure"}
TLS_FILES = ("ca_certificate_file", "private_key_file", "certificate_file")


class StockClient:
    """The process of a client. It is not started by the loop, which forks as gRPC cannot bear."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def call(self, times: int, *headers: str) -> dict[str, int]:
        """How often each instance answered, and how often calls failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"call {times} {' '.join(headers)}\n")
        self._process.stdin.flush()
        async with asyncio.timeout(60):
            line = await asyncio.to_thread(self._process.stdout.readline)
        found: dict[str, int] = json.loads(line)
        return found

    async def until(
        self, holds: Callable[[dict[str, int]], bool], *headers: str, times: int = 10
    ) -> None:
        """Call until it holds for so many calls in a row."""
        async with asyncio.timeout(60):
            while not holds(await self.call(times, *headers)):  # noqa: ASYNC110 - clients have no events
                await asyncio.sleep(0.05)


@asynccontextmanager
async def stock_client(
    registry: str, target: str = "xds:///customer", *, certificates: Sequence[Path] = ()
) -> AsyncIterator[StockClient]:
    """A client whose only configuration is where the registry is.

    With the files of CA, private key and certificate it speaks TLS with all.
    """
    names = dict(zip(TLS_FILES, map(str, certificates), strict=False))
    shown = {"CERTIFICATES": ",".join(names.values())} if names else {}
    bootstrap = {
        "xds_servers": [
            {
                "server_uri": registry,
                "channel_creds": [{"type": "tls", "config": names} if names else INSECURE],
                "server_features": ["xds_v3"],
            }
        ],
        "node": {"id": "stock"},
    }
    path = os.pathsep.join(map(str, (ROOT, ROOT / "build" / "gen")))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.registry.stock_client", target],
        cwd=ROOT,
        env={
            **os.environ,
            **shown,
            "PYTHONPATH": path,
            "GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(bootstrap),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield StockClient(process)
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.to_thread(process.wait)
