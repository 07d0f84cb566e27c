"""`engine seq` against a running sequencer."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner, Result

from cli.names import OPERATOR
from cli.seq import app
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from tests.integration.seq_cli.told import Engine

RIGHTS = {"read", "create", "lease", "operate", "reserve", "void"}


@pytest.fixture
async def engine(mesh: Mesh) -> Engine:
    """Runs `engine seq …` as the local operator would."""
    mesh.trust(OPERATOR, {f"sequencer.{right}" for right in RIGHTS})
    await mesh.start(BLUEPRINT)
    environ = {"ENGINE_VAR": str(mesh.settings.var)}

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environ)

    return run
