"""The runbook of a database that was restored from a backup, as `engine seq` shows it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.names import OPERATOR
from cli.seq import app
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

pytestmark = pytest.mark.embedded

Engine = Callable[..., Awaitable[str]]
JOURNAL = "sequencer-witness.db"


@asynccontextmanager
async def serving(var: Path) -> AsyncIterator[Engine]:
    """The sequencer on the data of a folder, and what `engine seq` prints of it."""
    async with Mesh(var) as mesh:
        rights = {"read", "create", "lease", "operate"}
        mesh.trust(OPERATOR, {f"sequencer.{right}" for right in rights})
        await mesh.start(BLUEPRINT)

        async def run(*arguments: str) -> str:
            environ = {"ENGINE_VAR": str(var)}
            done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environ)
            assert done.exit_code == 0, done.output
            return done.stdout

        yield run


@pytest.fixture
async def put_back(var: Path, tmp_path: Path) -> Path:
    """Data whose database was put back to where it was when 10 of 100 ids had been granted."""
    data, copy = var / "data", tmp_path / "backup.db"
    async with serving(var) as engine:
        await engine("create", "till.receipt")
        await engine("next", "till.receipt", "-n", "10")
    shutil.copy(data / "sequencer.db", copy)
    async with serving(var) as engine:
        await engine("next", "till.receipt", "-n", "90")
    _remove(data, "sequencer.db")
    shutil.copy(copy, data / "sequencer.db")
    return data


def _remove(folder: Path, database: str) -> None:
    """Remove a database, with the files that SQLite keeps beside it."""
    for file in folder.glob(f"{database}*"):
        file.unlink()


async def test_with_a_journal_there_is_nothing_to_do(var: Path, put_back: Path) -> None:
    """The next id is above all that were granted, and the audit names the witness."""
    async with serving(var) as engine:
        assert await engine("next", "till.receipt") == "101\n"

        _, jump = (await engine("audit", "till.receipt", "--fences")).splitlines()
        assert jump.split("\t")[1:4] == ["1", "90", "11"]
        assert "witness this server: entry 3 of epoch 0" in jump
        assert "\tfenced\t11\t100\t90\t" in await engine("inspect", "till.receipt", "50")


async def test_with_no_witness_left_the_operator_fences(var: Path, put_back: Path) -> None:
    """Nobody can know; after `fence` nothing up to the number is granted again."""
    _remove(put_back, JOURNAL)
    async with serving(var) as engine:
        assert await engine("peek", "till.receipt") == "11\n"

        said = await engine("fence", "till.receipt", "--at-least", "100", "--yes")

        assert said == "'till.receipt' goes on with 101; epoch 1.\n"
        assert await engine("next", "till.receipt") == "101\n"
        assert "operator: at least 100" in await engine("audit", "till.receipt", "--fences")
