"""`engine seq` against a running sequencer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from typer.testing import CliRunner, Result

from cli.names import OPERATOR
from cli.seq import app
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

Engine = Callable[..., Awaitable[Result]]


@pytest.fixture
async def engine(mesh: Mesh) -> Engine:
    """Runs `engine seq …` as the local operator would."""
    mesh.trust(OPERATOR, {"sequencer.read", "sequencer.create", "sequencer.lease"})
    await mesh.start(BLUEPRINT)
    environ = {"ENGINE_VAR": str(mesh.settings.var)}

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environ)

    return run


async def test_a_sequence_is_created_and_listed(engine: Engine) -> None:
    """In a pipe the table is tab-separated, with a head line."""
    made = await engine("create", "shop.order", "--start", "1000", "--max", "9007199254740991")
    assert made.exit_code == 0
    await engine("create", "shop.customer")

    listed = await engine("list")

    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert rows[0] == ["Name", "Start", "Last id", "Next id", "Leases", "Created"]
    assert rows[1][:5] == ["shop.customer", "1", "9223372036854775807", "1", "0"]
    assert rows[2][:5] == ["shop.order", "1000", "9007199254740991", "1000", "0"]


async def test_next_prints_ids_for_scripts(engine: Engine) -> None:
    """One id a line and nothing else; the same id is never printed again."""
    await engine("create", "shop.order")

    assert (await engine("next", "shop.order")).stdout == "1\n"
    assert (await engine("next", "shop.order", "-n", "3")).stdout == "2\n3\n4\n"


async def test_next_creates_what_is_missing_when_asked(engine: Engine) -> None:
    """Only then, and a sequence with settings of its own is taken from as it is."""
    assert (await engine("next", "shop.order")).exit_code == 1
    assert (await engine("next", "shop.order", "--create")).stdout == "1\n"
    await engine("create", "shop.invoice", "--start", "1000")
    assert (await engine("next", "shop.invoice", "--create")).stdout == "1000\n"


async def test_next_goes_on_when_a_grant_is_smaller(engine: Engine) -> None:
    """A sequence that grants a thousand at most still gives fifteen hundred."""
    await engine("create", "shop.order", "--max", "5000")

    taken = await engine("next", "shop.order", "-n", "1500")

    assert taken.stdout.split() == [str(number) for number in range(1, 1_501)]


async def test_peek_takes_nothing(engine: Engine) -> None:
    """The next id is shown as often as asked, and refused when there is none."""
    await engine("create", "short.one", "--max", "2")
    assert (await engine("peek", "short.one")).stdout == "1\n"
    assert (await engine("peek", "short.one")).stdout == "1\n"
    await engine("next", "short.one", "-n", "2")

    empty = await engine("peek", "short.one")

    assert empty.exit_code == 1
    assert "has no ids left" in empty.stderr


async def test_inspect_leads_from_an_id_to_its_lease(engine: Engine) -> None:
    """All leases, or the one that holds an id, with its client."""
    await engine("create", "shop.order")
    await engine("next", "shop.order", "-n", "10")
    await engine("next", "shop.order", "-n", "5")

    every = await engine("inspect", "shop.order")
    one = await engine("inspect", "shop.order", "11")
    none = await engine("inspect", "shop.order", "16")

    assert [line.split("\t")[:4] for line in every.stdout.splitlines()[1:]] == [
        ["2", "11", "15", "5"],
        ["1", "1", "10", "10"],
    ]
    assert one.stdout.splitlines()[1:] == every.stdout.splitlines()[1:2]
    assert "\tgranted\t" in one.stdout
    assert none.exit_code == 1
    assert "has not granted 16" in none.stderr


@pytest.mark.parametrize("command", ["peek", "next", "inspect"])
async def test_an_unknown_sequence_says_what_to_do(engine: Engine, command: str) -> None:
    """The service's own message and next step, no traceback."""
    refused = await engine(command, "no.such")

    assert refused.exit_code == 1
    assert "There is no sequence 'no.such'" in refused.stderr
    assert "engine seq create" in refused.stderr


async def test_a_bad_name_is_explained(engine: Engine) -> None:
    """The broken rule is shown with its field."""
    refused = await engine("create", "Shop Order")

    assert refused.exit_code == 1
    assert "sequence.name" in refused.stderr
