"""Which ids a client has lost that was killed."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from sequencer.sdk import Sequencer, mesh_source
from sequencer.sdk._journal import recover
from tests.integration.sequences import GRANTED, LOST, NAME, RETURNED, create, ids, leases

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

PIECE = 65_536
USED = 1_234

CLIENT = """
import sys
from pathlib import Path
from mesh import DirectoryRegistry
from mesh.settings import load
from mesh.tokens import ServiceKey
from sequencer.sdk import Sequencer, mesh_source
from sequencer.sdk._journal import recover

name, journal, count = sys.argv[1:]
settings = load()
source = mesh_source(DirectoryRegistry(settings.run_dir), ServiceKey.load(settings.key_dir, "shop"))
with Sequencer(source, journal=Path(journal)) as sequencer:
    next_id = sequencer.sequence(name).next_id
    print(*[next_id() for _ in range(int(count))], flush=True)
    sys.stdin.read()
"""


async def used_until_killed(mesh: Mesh, journal: Path) -> set[int]:
    """The ids that a client had used when it was killed."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, NAME, journal, str(USED)),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "ENGINE_VAR": str(mesh.settings.var)},
    )
    assert client.stdout is not None
    used = {int(id_) for id_ in (await client.stdout.readline()).split()}
    client.kill()
    await client.communicate()
    return used


def succeed(mesh: Mesh, journal: Path) -> None:
    """Give back what a killed client left, take an id, and end well."""
    source = mesh_source(mesh.registry, ServiceKey.load(mesh.settings.key_dir, "shop"))
    assert list(recover(journal, partial(source.give_back, timeout_s=5.0)))
    with Sequencer(source, journal=journal) as sequencer:
        sequencer.sequence(NAME).next_id()
    assert not list(journal.iterdir())


async def test_the_audit_shows_what_a_killed_client_may_have_lost(
    stub: Stub, mesh: Mesh, tmp_path: Path
) -> None:
    """All that it neither used nor left, and one piece at most; of a clean end there is nothing."""
    journal = tmp_path / "ids"
    await create(stub, NAME)
    used = await used_until_killed(mesh, journal)
    await asyncio.to_thread(succeed, mesh, journal)

    entries = await leases(stub, NAME)
    (told,) = (entry for entry in entries if entry.action == LOST)
    of = {
        action: {
            id_
            for entry in entries
            if (entry.client_id, entry.action) == (told.client_id, action)
            for id_ in ids(entry)
        }
        for action in (GRANTED, RETURNED, LOST)
    }
    assert used <= of[GRANTED] - of[RETURNED]
    lost = of[GRANTED] - of[RETURNED] - used
    assert lost
    assert lost <= of[LOST]
    assert len(of[LOST]) <= PIECE
    assert (await leases(stub, NAME, id=min(lost)))[0] == told
