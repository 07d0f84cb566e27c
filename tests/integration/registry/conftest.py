"""Fixtures for tests of the registry."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mesh.testing import Mesh
from tests.integration.registry.running import RunningRegistry


@pytest.fixture
async def registry(mesh: Mesh) -> AsyncIterator[RunningRegistry]:
    """A registry that serves, and may be stopped."""
    running = RunningRegistry(mesh)
    await running.start()
    yield running
    await running.stop()
