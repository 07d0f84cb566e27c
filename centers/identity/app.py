"""The identity service: its parts, put together, and what it does before it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import argon2

from centers.identity import demo
from centers.identity.accounts import Accounts
from centers.identity.attempt_rows import AttemptRows
from centers.identity.bootstrap import FILE_NAME, Bootstrap
from centers.identity.domain import Revocation
from centers.identity.following import Follower
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

KEY_FILE = "identity-signing.json"

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The use cases and what they share."""

    sign_on: SignOn
    accounts: Accounts
    bootstrap: Bootstrap
    records: IdentityRecords
    passwords: Passwords
    keyring: Keyring
    feed: RevocationFeed
    follower: Follower


def build(parts: Parts, hasher: argon2.PasswordHasher | None = None) -> Service:
    """The service from its parts; `hasher` sets the cost of password hashes."""
    centre = assemble(parts, hasher)
    page = (_HERE / "bootstrap.html").read_bytes()
    return Service(
        servicers=(
            Servicer(
                descriptor=identity_pb2.DESCRIPTOR.services_by_name["IdentityService"],
                implementation=IdentityRpc(
                    centre.sign_on, centre.accounts, centre.bootstrap, page, parts.clock
                ),
            ),
            Servicer(
                descriptor=trust_pb2.DESCRIPTOR.services_by_name["TrustService"],
                implementation=TrustRpc(centre.keyring, centre.feed),
            ),
        ),
        resources=(centre.passwords, prepared(centre, parts)),
        draining=centre.feed.close,
    )


def assemble(parts: Parts, hasher: argon2.PasswordHasher | None = None) -> Centre:
    """The use cases over their parts. `passwords` is to be entered before they are used."""
    settings, clock = parts.settings, parts.clock

    def refuse_at_once(revocation: Revocation) -> None:
        parts.verifier.end_session(revocation.session_id, revocation.expires.timestamp())

    lifetimes = Lifetimes(
        access=timedelta(seconds=settings.token_ttl_s),
        session=timedelta(seconds=settings.session_ttl_s),
    )
    keyring = Keyring.open(settings.key_dir / KEY_FILE, clock)
    feed = RevocationFeed(clock, refuse_at_once)
    records = IdentityRecords(parts.store, clock, feed.publish)
    passwords = Passwords(hasher)
    lockout = Lockout(AttemptRows(parts.store), clock)
    sessions = Sessions(keyring, clock, lifetimes, parts.telemetry.meters)
    return Centre(
        sign_on=SignOn(records, sessions, passwords, lockout, demo=settings.demo),
        accounts=Accounts(records, passwords, demo=settings.demo),
        bootstrap=Bootstrap(records, passwords, settings.var / FILE_NAME, clock),
        records=records,
        passwords=passwords,
        keyring=keyring,
        feed=feed,
        follower=Follower(
            records, feed, keyring, parts.verifier, clock, limit_s=settings.trust_silence_s
        ),
    )


@asynccontextmanager
async def prepared(centre: Centre, parts: Parts) -> AsyncIterator[None]:
    """Within the block the centre can serve: keys and revocations are known, users looked after."""
    async with centre.follower:
        if parts.settings.demo:
            await demo.admit(centre.records, centre.passwords, parts.clock.now())
            await centre.bootstrap.withdraw()
        else:
            await demo.refuse(centre.records)
            await centre.bootstrap.offer()
        yield


BLUEPRINT = Blueprint(
    name="identity",
    build=build,
    migrations=_HERE / "migrations",
    synchronous="FULL",
)
