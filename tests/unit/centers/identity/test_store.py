"""What the database keeps, and what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import argon2
import pytest
import sqlalchemy as sa

from centers.identity.app import BLUEPRINT, Centre, assemble, prepared
from centers.identity.domain import User
from centers.identity.sessions import LATE_CLOCKS, SWEPT
from centers.identity.tables import METADATA, REFRESH_TOKENS, SESSIONS
from mesh.clock import ManualClock
from mesh.errors import MeshError, MeshReason
from mesh.service import Parts
from mesh.storage import SQLiteStore, migrations

PASSWORD = "correct horse"
ACCESS_S, SESSION_S = 300, 8 * 3600


def kept_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("identity.db*"))


async def count(store: SQLiteStore, table: sa.Table) -> int:
    rows = await store.fetch_all(sa.select(sa.func.count()).select_from(table))
    return int(rows[0][0])


async def test_the_revisions_make_the_tables_that_the_statements_use(
    store: SQLiteStore, tmp_path: Path
) -> None:
    """Tables, columns, types and indexes are the same on both sides."""
    assert BLUEPRINT.migrations is not None
    migrations.check(tmp_path / "identity.db", BLUEPRINT.migrations, METADATA)


async def test_no_secret_lies_in_the_database(
    centre: Centre, add: Callable[..., Awaitable[User]], store: SQLiteStore, tmp_path: Path
) -> None:
    """Neither passwords nor access nor refresh tokens are kept."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    renewed = await centre.sign_on.refresh(grant.refresh_token)
    content = kept_bytes(tmp_path)
    assert b"rm001" in content
    for secret in (PASSWORD, grant.refresh_token, renewed.refresh_token, renewed.access_token):
        assert secret.encode() not in content


async def test_expired_sessions_are_removed_by_new_ones(
    centre: Centre, add: Callable[..., Awaitable[User]], store: SQLiteStore, clock: ManualClock
) -> None:
    """Each sign-on removes some, with their refresh tokens, so that they never pile up."""
    await add("rm001")
    for _ in range(SWEPT + 5):
        grant = await centre.sign_on.sign_on("rm001", PASSWORD)
        await centre.sign_on.refresh(grant.refresh_token)
    clock.advance(SESSION_S + LATE_CLOCKS.total_seconds())
    await centre.sign_on.sign_on("rm001", PASSWORD)
    assert await count(store, SESSIONS) == 5 + 1
    await centre.sign_on.sign_on("rm001", PASSWORD)
    assert await count(store, SESSIONS) == 2
    assert await count(store, REFRESH_TOKENS) == 2


async def test_sessions_that_can_still_be_renewed_are_kept(
    centre: Centre, add: Callable[..., Awaitable[User]], store: SQLiteStore, clock: ManualClock
) -> None:
    """Only what is of no use any more is removed."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    clock.advance(SESSION_S - 1)
    await centre.sign_on.sign_on("rm001", PASSWORD)
    assert await centre.sign_on.refresh(grant.refresh_token)


async def test_an_ended_session_is_kept_while_its_tokens_live(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts, clock: ManualClock
) -> None:
    """A revocation is known for as long as any host might accept the token, and no longer."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    session = parts.verifier.user(grant.access_token)
    clock.advance(100)
    await centre.sign_on.sign_out(session, everywhere=False)
    (revocation,) = (await centre.records.ended(clock.now())).revocations
    assert revocation.session_id == session.session_id
    clock.advance(ACCESS_S - 100 + LATE_CLOCKS.total_seconds() - 1)
    assert (await centre.records.ended(clock.now())).revocations == [revocation]
    clock.advance(1)
    assert (await centre.records.ended(clock.now())).revocations == []


async def test_revocations_are_known_again_after_a_restart(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts, cheap: argon2.PasswordHasher
) -> None:
    """A centre that starts applies and streams those in force before it serves."""
    await add("rm001")
    async with prepared(centre, parts):
        grant = await centre.sign_on.sign_on("rm001", PASSWORD)
        principal = parts.verifier.user(grant.access_token)
        await centre.sign_on.sign_out(principal, everywhere=False)
    parts.verifier._ended.clear()
    restarted = assemble(parts, cheap)
    async with restarted.passwords, prepared(restarted, parts):
        with pytest.raises(MeshError) as refused:
            parts.verifier.user(grant.access_token)
        assert refused.value.reason is MeshReason.SESSION_ENDED
        news = await anext(restarted.feed.watch())
        assert [revocation.session_id for revocation in news.revocations] == [principal.session_id]


async def test_an_end_is_told_of_even_if_nobody_waits_for_the_disk(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """A sign-out that is cancelled during its commit is durable, so it must be heard of."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    principal = parts.verifier.user(grant.access_token)
    committing = asyncio.Event()

    async def sign_out() -> None:
        async with centre.records.transaction() as changes:
            await changes.end_session(principal.session_id)
            committing.set()

    task = asyncio.create_task(sign_out())
    await committing.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    with pytest.raises(MeshError) as refused:
        parts.verifier.user(grant.access_token)
    assert refused.value.reason is MeshReason.SESSION_ENDED


async def test_an_end_that_was_undone_is_not_told_of(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """A transaction that fails in its body ends no session."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    principal = parts.verifier.user(grant.access_token)

    async def fail() -> None:
        async with centre.records.transaction() as changes:
            await changes.end_session(principal.session_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert parts.verifier.user(grant.access_token) == principal
    assert await centre.sign_on.refresh(grant.refresh_token)


async def test_a_role_is_not_mistaken_for_another_that_contains_its_name(
    centre: Centre, add: Callable[..., Awaitable[User]]
) -> None:
    """Holders are found by the whole name."""
    await add("one", roles=("load-tester",))
    async with centre.records.transaction() as changes:
        assert await changes.holders("tester") == []
        assert [user.username for user in await changes.holders("load-tester")] == ["one"]
