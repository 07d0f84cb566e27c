"""The identity centre's use cases over a real database, with cheap hashes and a clock by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import argon2
import pytest
from joserfc.jwk import OKPKey

from centers.identity.app import BLUEPRINT, Centre, assemble
from centers.identity.domain import AccountState, User
from centers.identity.passwords import Passwords
from mesh.cache import LocalCache
from mesh.clock import ManualClock
from mesh.events import LocalBus
from mesh.registry import DirectoryRegistry
from mesh.service import Parts
from mesh.settings import Settings
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer, Telemetry
from mesh.tokens import ServiceKey, TokenVerifier

PASSWORD = "correct horse"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cheap() -> argon2.PasswordHasher:
    """Password hashes that cost next to nothing."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def passwords(cheap: argon2.PasswordHasher) -> AsyncIterator[Passwords]:
    async with Passwords(cheap) as passwords:
        yield passwords


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    database = tmp_path / "identity.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(database, BLUEPRINT.migrations)
    async with SQLiteStore(database, tracer=NullTracer()) as store:
        yield store


@pytest.fixture
def parts(store: SQLiteStore, clock: ManualClock, tmp_path: Path) -> Parts:
    def no_channel(service: str) -> Any:
        raise AssertionError(f"identity calls nobody, not even {service}")

    return Parts(
        name="identity",
        settings=Settings(var=tmp_path),
        registry=DirectoryRegistry(tmp_path / "run"),
        store=store,
        cache=LocalCache(clock=clock),
        clock=clock,
        telemetry=Telemetry(),
        key=ServiceKey("identity", OKPKey.generate_key("Ed25519"), clock),
        verifier=TokenVerifier({"services": {}}, clock),
        channel=no_channel,
        bus=LocalBus("identity"),
    )


@pytest.fixture
async def centre(parts: Parts, cheap: argon2.PasswordHasher) -> AsyncIterator[Centre]:
    """The use cases; the verifier of their parts knows their keys."""
    centre = assemble(parts, cheap)
    parts.verifier.set_keys(centre.keyring.public_keys())
    async with centre.passwords:
        yield centre


@pytest.fixture
def add(centre: Centre, clock: ManualClock) -> Callable[..., Awaitable[User]]:
    """Adds a user with the password "correct horse", of role compliance unless said otherwise."""

    async def add(username: str, password: str = PASSWORD, **fields: Any) -> User:
        defaults: dict[str, Any] = {
            "display_name": username,
            "roles": ("compliance",),
            "staff_id": 0,
            "branch_id": 0,
            "state": AccountState.ACTIVE,
            "demo": False,
            "created": clock.now(),
        }
        user = User(username=username, **{**defaults, **fields})
        password_hash = await centre.passwords.hash(password)
        async with centre.records.transaction() as changes:
            assert await changes.add_user(user, password_hash)
        return user

    return add
