"""The demo bank: generated once, loaded when the platform does not hold it yet.

Customers come first, then the products, scripts and qualifications that the loop works with.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from bank import BankError, Plan, generate, parse_scale
from cli.connect import blocking_channel
from cli.load import LoadError, load_bank
from cli.loop.catalogue import stock
from cli.loop.people import People
from cli.names import LOADER
from cli.output import fail
from cli.progress import progress_bar
from engine.ark.v1.ark_pb2_grpc import ArkServiceStub
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from mesh.settings import Settings


def ensure_demo_bank(settings: Settings) -> None:
    """Bring the bank of `settings.demo_scale` and `settings.seed` into Ark and customer centre."""
    folder = settings.var / "bank" / f"{settings.demo_scale}-{settings.seed}"
    try:
        _ensure(settings, folder)
        asyncio.run(_stock(settings))
    except BankError as error:
        fail(str(error), f"Delete {folder}; the next start makes it anew.")
    except (LoadError, grpc.RpcError) as error:
        fail(f"the demo bank was not loaded: {error}")


def _ensure(settings: Settings, folder: Path) -> None:
    if not folder.exists():
        plan = Plan(scale=parse_scale(settings.demo_scale), seed=settings.seed)
        with progress_bar("Generating the demo bank") as progress:
            generate(plan, folder, progress=progress)
    with (
        blocking_channel("ark", caller=LOADER, settings=settings) as ark,
        blocking_channel("customer", caller=LOADER, settings=settings) as customer,
        progress_bar("Loading it into Ark and customer centre") as progress,
    ):
        load_bank(folder, ArkServiceStub(ark), CustomerServiceStub(customer), progress)


async def _stock(settings: Settings) -> None:
    async with People(settings) as people:
        await stock(people)
