"""The contract of `everything.proto`, as reflection would give it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec import JsonTypes
from mesh.reflection import Contract
from tests.foreign import described
from tests.unit.gateway.route import GetRoute, Route

HERE = Path(__file__).parent
PACKAGE = "gateway.testing.v1"


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The contract, compiled."""
    files = described(HERE, "everything.proto").file
    return Contract(
        services=tuple(f"{PACKAGE}.{name}Service" for name in ("Odd", "Thing", "Upload")),
        files={file.name: file.SerializeToString() for file in files},
    )


@pytest.fixture(scope="session")
def pool(contract: Contract) -> DescriptorPool:
    """The contract's descriptors."""
    return contract.pool


@pytest.fixture(scope="session")
def message(pool: DescriptorPool) -> Callable[..., Any]:
    """Makes a message of the contract: `message("Thing", title="x")`."""

    def build(name: str, **fields: Any) -> Any:
        descriptor = pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        return message_factory.GetMessageClass(descriptor)(**fields)

    return build


@pytest.fixture
def route(contract: Contract) -> GetRoute:
    """The route of a method, or of one of its additional bindings."""
    types = JsonTypes(contract.pool)
    return lambda name, rule=0, **options: Route(contract, types, name, rule, **options)
