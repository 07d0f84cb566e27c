"""A sequencer in a process of its own, and who may call it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loadtests.processes import Worker
from mesh import DirectoryRegistry, Settings
from mesh.app import host_id
from mesh.channel import Channel, registered
from mesh.context import CALLER
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import to_environ
from mesh.storage import address, migrations
from mesh.tokens import ServiceKey, write_trust
from sequencer.app import BLUEPRINT

BENCH: Final = "bench"
RIGHTS: Final = frozenset({"sequencer.lease", "sequencer.create", "sequencer.read"})
SERVER: Final = "loadtests.bench.sequencer_processes"


def settings_in(folder: Path, database_url: str = "") -> Settings:
    """Settings of a server, on SQLite when no database is named."""
    return Settings(var=folder, port_base=0, drain_s=0.2, database_url=database_url)


def prepare(settings: Settings) -> None:
    """Make the database, and the key of the service `BENCH`, which may take ids."""
    settings.data_dir.mkdir(parents=True)
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(address(settings, BLUEPRINT.name), BLUEPRINT.migrations)
    write_trust(
        settings.key_dir,
        {BLUEPRINT.name: BLUEPRINT.rights | RIGHTS_OF_ALL, BENCH: RIGHTS},
    )


@contextmanager
def served(settings: Settings) -> Iterator[Worker]:
    """The server, for as long as the block takes."""
    log, environ = settings.var / "server.log", to_environ(settings)
    with Worker(SERVER, "server", log=log, environ=environ) as worker:
        yield worker
        worker.stop()


def channel(settings: Settings) -> Channel:
    """The service `BENCH` calls the server; to be closed."""
    key = ServiceKey.load(settings.key_dir, BENCH)
    registry = DirectoryRegistry(settings.run_dir)
    return Channel(
        BLUEPRINT.name,
        registered(registry, BLUEPRINT.name, host_id()),
        lambda: ((CALLER, key.token()),),
    )
