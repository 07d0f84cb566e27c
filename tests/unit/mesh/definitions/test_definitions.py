"""Definitions in a real store, made by a real revision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.customer.v1.customer_pb2 import FollowUp
from engine.mesh.v1 import definition_pb2
from mesh.clock import ManualClock
from mesh.definitions import DefinitionReason, Definitions, State, Version, to_message
from mesh.definitions._table import definition
from mesh.errors import MeshError
from mesh.paging import PageRequest
from mesh.storage import IntegrityViolation, SQLiteStore, migrations
from mesh.telemetry import NullTracer

REVISION = """
from alembic import op
from mesh import definitions

revision = "0001"
down_revision = None


def upgrade() -> None:
    definitions.create_table(op)
"""

Scenes = Definitions[FollowUp]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database at the revision that makes the table."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_definitions.py").write_text(REVISION)
    path = tmp_path / "test.db"
    migrations.upgrade(path, versions.parent)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(database, tracer=NullTracer()) as store:
        yield store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def scenes(store: SQLiteStore, clock: ManualClock) -> Scenes:
    return kind(store, clock, "scene")


def kind(store: SQLiteStore, clock: ManualClock, name: str) -> Scenes:
    return Definitions(store, name, FollowUp, clock, name_of=lambda body: body.summary)


VERSION_IDS = count(1_000)


async def drafted(store: SQLiteStore, scenes: Scenes, definition_id: int, text: str) -> None:
    async with store.transaction() as tx:
        await scenes.create(
            tx,
            definition_id=definition_id,
            version_id=next(VERSION_IDS),
            body=FollowUp(summary=text),
            author="an",
        )


async def next_drafted(store: SQLiteStore, scenes: Scenes, definition_id: int) -> None:
    async with store.transaction() as tx:
        await scenes.draft(tx, definition_id, version_id=next(VERSION_IDS), author="an")


async def published(
    store: SQLiteStore, scenes: Scenes, definition_id: int, checker: str = "bo"
) -> Version[FollowUp]:
    """What is in force after the newest version was submitted and checked."""
    async with store.transaction() as tx:
        await scenes.submit(tx, definition_id, actor="an")
        return await scenes.publish(tx, definition_id, checker=checker)


def saying(text: str, body: FollowUp) -> FollowUp:
    body.summary = text
    return body


async def test_the_table_is_as_the_statements_expect(database: Path, store: SQLiteStore) -> None:
    """Columns, key and index of the revision and of the statements are the same."""
    engine = sa.create_engine(f"sqlite:///{database}")
    made = sa.Table(definition.name, sa.MetaData(), autoload_with=engine)
    engine.dispose()
    for wanted in definition.columns:
        found = made.columns[wanted.name]
        assert (found.primary_key, found.nullable) == (wanted.primary_key, wanted.nullable)
    assert made.columns.keys() == definition.columns.keys()
    (index,) = made.indexes
    assert index.unique
    assert index.columns.keys() == ["version_id"]


async def test_a_definition_goes_from_draft_to_published(
    store: SQLiteStore, scenes: Scenes, clock: ManualClock
) -> None:
    """Its head tells author, checker and both times."""
    await drafted(store, scenes, 7, "first")
    clock.advance(60)
    made = await published(store, scenes, 7)
    assert await scenes.published(7) == await scenes.get(7) == made
    head = to_message(made)
    assert head.state == definition_pb2.DEFINITION_STATE_PUBLISHED
    assert (head.definition_id, head.version) == (7, 1)
    assert (head.author, head.checker, head.etag) == ("an", "bo", made.etag)
    assert head.publish_time.seconds - head.create_time.seconds == 60


async def test_published_versions_are_kept_beside_newer_ones(
    store: SQLiteStore, scenes: Scenes
) -> None:
    """Whoever runs on version 1 finds it as it was, by number and by its id."""
    await drafted(store, scenes, 7, "first")
    first = await published(store, scenes, 7)
    await next_drafted(store, scenes, 7)
    async with store.transaction() as tx:
        await scenes.edit(tx, 7, lambda body: saying("second", body), actor="an")
    assert (await scenes.published(7)).body.summary == "first"
    assert (await scenes.get(7)).body.summary == "second"
    second = await published(store, scenes, 7)
    assert (await scenes.published(7)) == second
    assert await scenes.by_version_id(first.version_id) == await scenes.get(7, 1) == first
    assert second.version == 2


async def test_a_refused_step_changes_nothing(store: SQLiteStore, scenes: Scenes) -> None:
    """Nor does one whose transaction is undone."""
    await drafted(store, scenes, 7, "first")
    before = await scenes.get(7)
    with pytest.raises(MeshError) as refused:
        async with store.transaction() as tx:
            await scenes.edit(tx, 7, lambda body: saying("x", body), actor="an", etag="stale")
    assert refused.value.reason is DefinitionReason.DEFINITION_ETAG_MISMATCH
    with pytest.raises(MeshError):
        await published(store, scenes, 7, checker="an")
    assert await scenes.get(7) == before


async def test_a_second_open_version_is_refused(store: SQLiteStore, scenes: Scenes) -> None:
    """The error names the version that stands in the way."""
    await drafted(store, scenes, 7, "first")
    with pytest.raises(MeshError) as refused:
        await next_drafted(store, scenes, 7)
    assert refused.value.reason is DefinitionReason.OPEN_VERSION_EXISTS
    assert refused.value.metadata["version"] == "1"


async def test_an_id_serves_one_definition_of_a_kind(
    store: SQLiteStore, scenes: Scenes, clock: ManualClock
) -> None:
    """Another kind has ids of its own, and its definitions are not seen here."""
    models = kind(store, clock, "model")
    await drafted(store, scenes, 7, "scene")
    await drafted(store, models, 7, "model")
    assert (await models.get(7)).body.summary == "model"
    with pytest.raises(IntegrityViolation):
        await drafted(store, scenes, 7, "again")
    model = await models.get(7)
    with pytest.raises(MeshError) as unknown:
        await scenes.by_version_id(model.version_id)
    assert unknown.value.reason is DefinitionReason.DEFINITION_NOT_FOUND


async def test_what_is_unknown_and_what_is_not_in_force_differ(
    store: SQLiteStore, scenes: Scenes
) -> None:
    """No definition is NOT_FOUND; a draft alone is NOT_PUBLISHED."""
    for asked in (scenes.get(7), scenes.get(7, 1), scenes.published(7), scenes.by_version_id(1)):
        with pytest.raises(MeshError) as unknown:
            await asked
        assert unknown.value.reason is DefinitionReason.DEFINITION_NOT_FOUND
    await drafted(store, scenes, 7, "first")
    with pytest.raises(MeshError) as early:
        await scenes.published(7)
    assert early.value.reason is DefinitionReason.NOT_PUBLISHED


async def test_the_author_of_the_newest_version_is_known(
    store: SQLiteStore, scenes: Scenes
) -> None:
    """It is what an author_resolver asks for."""
    assert await scenes.author(7) is None
    await drafted(store, scenes, 7, "first")
    assert await scenes.author(7) == "an"
    await published(store, scenes, 7)
    async with store.transaction() as tx:
        await scenes.draft(tx, 7, version_id=next(VERSION_IDS), author="chi")
    assert await scenes.author(7) == "chi"


async def test_a_published_body_is_decoded_once(store: SQLiteStore, scenes: Scenes) -> None:
    """Every reader gets the same message; open versions are read anew."""
    await drafted(store, scenes, 7, "first")
    assert (await scenes.get(7)).body is not (await scenes.get(7)).body
    version = await published(store, scenes, 7)
    read = await scenes.by_version_id(version.version_id)
    assert (await scenes.published(7)) is read
    assert (await scenes.get(7)) is read


async def test_the_list_shows_each_definition_once(store: SQLiteStore, scenes: Scenes) -> None:
    """By its newest version, or by its newest one in a state; page by page."""
    for number in range(1, 6):
        await drafted(store, scenes, number, f"scene {number}")
    for number in (2, 4):
        await published(store, scenes, number)
    await next_drafted(store, scenes, 4)
    assert await listed(scenes, None) == [(5, 1), (4, 2), (3, 1), (2, 1), (1, 1)]
    assert await listed(scenes, State.PUBLISHED) == [(4, 1), (2, 1)]
    assert await listed(scenes, State.DRAFT) == [(5, 1), (4, 2), (3, 1), (1, 1)]
    assert await listed(scenes, State.REVIEW) == []


async def listed(scenes: Scenes, state: State | None) -> list[tuple[int, int]]:
    """Definition and version, over pages of two."""
    found: list[tuple[int, int]] = []
    token, more = "", True
    while more:
        request = PageRequest(listing=f"scenes {state}", size=2, token=token)
        page = await scenes.page(request, state=state)
        found += [(one.definition_id, one.version) for one in page.entries]
        token = page.next_token
        more = bool(token)
    return found
