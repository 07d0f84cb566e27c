"""Compares the revision of each service's database with the program's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cli.checkup.finding import Finding, fail, ok, warn
from mesh.service import Blueprint
from mesh.settings import Settings
from mesh.storage import SchemaMismatch, StorageError, address, migrations
from mesh.storage.migrations import Standing

_BY_HAND: Final = "Run 'engine db upgrade': ENGINE_MIGRATE=0 leaves it to you."


def examine(settings: Settings, services: Mapping[str, Blueprint]) -> Iterator[Finding]:
    """One finding for each database that the program does not fit, one for all others."""
    missing: list[str] = []
    fit = 0
    for name, blueprint in services.items():
        if blueprint.migrations is None:
            continue
        try:
            standing = _standing(name, blueprint.migrations, settings)
        except (SchemaMismatch, StorageError) as error:
            yield fail(f"schema of {name}", str(error), "Look at its database.")
            continue
        if standing.fits:
            fit += 1
        elif standing.revision is None:
            missing.append(name)
        else:
            yield _other(f"schema of {name}", standing, settings)
    found = f"{fit} databases fit the program"
    if not missing:
        yield ok("schema", found)
    elif settings.migrate:
        yield ok("schema", f"{found}, {len(missing)} will be made by their services")
    else:
        yield fail("schema", f"{found}, there are none of {', '.join(missing)}", _BY_HAND)


def _standing(name: str, folder: Path, settings: Settings) -> Standing:
    return migrations.standing(address(settings, name), folder)


def _other(check: str, standing: Standing, settings: Settings) -> Finding:
    """What to do about a database at another revision."""
    if not standing.known:
        found = f"{standing.revision}, which this program does not know"
        return fail(check, found, "Run the program that migrated it, or a newer one.")
    found = f"{standing.revision}, the program is at {standing.newest}"
    if settings.migrate:
        return warn(check, found, "Its service brings it there when it starts.")
    return fail(check, found, _BY_HAND)
