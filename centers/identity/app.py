"""The identity service: its parts, put together, and what it does before it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import argon2

from centers.identity import demo
from centers.identity.accounts import Accounts
from centers.identity.bootstrap import FILE_NAME, Bootstrap
from centers.identity.domain import Revocation
from centers.identity.keyring import Keyring
from centers.identity.lockout import Lockout
from centers.identity.passwords import Passwords
from centers.identity.revocations import RevocationFeed
from centers.identity.rpc import IdentityRpc
from centers.identity.service import SignOn
from centers.identity.sessions import Lifetimes, Sessions
from centers.identity.store import IdentityRecords
from centers.identity.trust_rpc import TrustRpc
from engine.identity.v1 import identity_pb2
from engine.mesh.v1 import trust_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.settings import Settings

KEY_FILE = "identity-signing.json"

_HERE = Path(__file__).parent


def build(parts: Parts, hasher: argon2.PasswordHasher | None = None) -> Service:
    """The service from its parts; `hasher` sets the cost of password hashes."""
    settings, clock = parts.settings, parts.clock

    def refuse_at_once(revocation: Revocation) -> None:
        parts.verifier.end_session(revocation.session_id, revocation.expires.timestamp())

    keyring = Keyring.open(settings.key_dir / KEY_FILE, clock)
    parts.verifier.set_keys(keyring.public_keys())
    feed = RevocationFeed(clock, refuse_at_once)
    records = IdentityRecords(parts.store, clock, feed.publish)
    passwords = Passwords(hasher)
    sessions = Sessions(keyring, clock, _lifetimes(settings), parts.telemetry.meters)
    sign_on = SignOn(records, sessions, passwords, Lockout(clock), demo=settings.demo)
    accounts = Accounts(records, passwords, demo=settings.demo)
    bootstrap = Bootstrap(records, passwords, settings.var / FILE_NAME, clock)

    @asynccontextmanager
    async def prepared() -> AsyncIterator[None]:
        feed.publish(await records.revocations(clock.now()))
        if settings.demo:
            await demo.admit(records, passwords, clock.now())
            await bootstrap.withdraw()
        else:
            await demo.refuse(records)
            await bootstrap.offer()
        yield

    page = (_HERE / "bootstrap.html").read_bytes()
    return Service(
        servicers=(
            Servicer(
                descriptor=identity_pb2.DESCRIPTOR.services_by_name["IdentityService"],
                implementation=IdentityRpc(sign_on, accounts, bootstrap, page, clock),
            ),
            Servicer(
                descriptor=trust_pb2.DESCRIPTOR.services_by_name["TrustService"],
                implementation=TrustRpc(keyring, feed),
            ),
        ),
        resources=(passwords, prepared()),
    )


def _lifetimes(settings: Settings) -> Lifetimes:
    return Lifetimes(
        access=timedelta(seconds=settings.token_ttl_s),
        session=timedelta(seconds=settings.session_ttl_s),
    )


BLUEPRINT = Blueprint(
    name="identity",
    build=build,
    migrations=_HERE / "migrations",
    synchronous="FULL",
)
