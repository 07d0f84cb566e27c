"""The first administrator: offered when there is nobody, created once."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from centers.identity.app import Centre
from centers.identity.bootstrap import VALID_FOR
from centers.identity.domain import User
from centers.identity.errors import IdentityReason
from mesh.clock import ManualClock
from mesh.errors import MeshError

PASSWORD = "correct horse"


def read(file: Path) -> str:
    return file.read_text()


def lies_there(file: Path) -> bool:
    return file.exists()


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def kept_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("identity.db*"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bootstrap-token"


async def refused(centre: Centre, token: str, username: str = "root") -> object:
    with pytest.raises(MeshError) as error:
        await centre.bootstrap.create_administrator(token, username, PASSWORD)
    return error.value.reason


async def test_a_platform_without_users_offers_a_token(centre: Centre, file: Path) -> None:
    """It lies in a file that its owner alone can read; the database has a digest of it."""
    await centre.bootstrap.offer()
    token = read(file)
    assert len(token) >= 43
    assert mode(file) == 0o600
    assert token.encode() not in kept_bytes(file.parent)


async def test_who_has_the_token_becomes_the_administrator(centre: Centre, file: Path) -> None:
    """He can sign on and manage accounts, and the file is gone."""
    await centre.bootstrap.offer()
    user = await centre.bootstrap.create_administrator(read(file), "root", PASSWORD)
    assert user.roles == ("administrator",)
    assert await centre.accounts.user("root") == user
    assert await centre.sign_on.sign_on("root", PASSWORD)
    assert not lies_there(file)


async def test_the_token_works_once(centre: Centre, file: Path) -> None:
    """A second use is refused, even under another name."""
    await centre.bootstrap.offer()
    token = read(file)
    await centre.bootstrap.create_administrator(token, "root", PASSWORD)
    assert await refused(centre, token, "other") is IdentityReason.BOOTSTRAP_REFUSED


async def test_two_uses_side_by_side_make_one_administrator(centre: Centre, file: Path) -> None:
    """There is no moment in which the token works twice."""
    await centre.bootstrap.offer()
    token = read(file)
    both = (centre.bootstrap.create_administrator(token, name, PASSWORD) for name in ("a1", "a2"))
    answers = await asyncio.gather(*both, return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, MeshError)]
    assert [error.reason for error in errors] == [IdentityReason.BOOTSTRAP_REFUSED]


async def test_the_token_is_valid_for_a_day(centre: Centre, clock: ManualClock, file: Path) -> None:
    """After that the next start makes a new one."""
    await centre.bootstrap.offer()
    clock.advance(VALID_FOR.total_seconds())
    assert await refused(centre, read(file)) is IdentityReason.BOOTSTRAP_REFUSED
    await centre.bootstrap.offer()
    assert await centre.bootstrap.create_administrator(read(file), "root", PASSWORD)


async def test_a_new_start_makes_the_old_link_useless(centre: Centre, file: Path) -> None:
    """There is one token at most."""
    await centre.bootstrap.offer()
    old = read(file)
    await centre.bootstrap.offer()
    assert await refused(centre, old) is IdentityReason.BOOTSTRAP_REFUSED


async def test_a_wrong_token_is_refused(centre: Centre, file: Path) -> None:
    """Nor does anything work when none was offered."""
    assert await refused(centre, "made-up") is IdentityReason.BOOTSTRAP_REFUSED
    await centre.bootstrap.offer()
    assert await refused(centre, "made-up") is IdentityReason.BOOTSTRAP_REFUSED


async def test_a_platform_with_users_offers_nothing(
    centre: Centre, add: Callable[..., Awaitable[User]], file: Path
) -> None:
    """A token from before is withdrawn with its file."""
    await centre.bootstrap.offer()
    token = read(file)
    await add("rm001")
    assert await refused(centre, token) is IdentityReason.BOOTSTRAP_REFUSED
    await centre.bootstrap.offer()
    assert not lies_there(file)
    assert await centre.records.bootstrap_token() is None


async def test_users_of_the_demo_do_not_count(
    centre: Centre, add: Callable[..., Awaitable[User]], file: Path
) -> None:
    """They cannot sign on outside the demo, so somebody must be able to begin."""
    await add("admin", demo=True, roles=("administrator",))
    await centre.bootstrap.offer()
    assert await refused(centre, read(file), "admin") is IdentityReason.USER_EXISTS
    assert await centre.bootstrap.create_administrator(read(file), "root", PASSWORD)


async def test_a_bad_password_does_not_spend_the_token(centre: Centre, file: Path) -> None:
    """The link still works after a refused password."""
    await centre.bootstrap.offer()
    with pytest.raises(MeshError) as error:
        await centre.bootstrap.create_administrator(read(file), "administrator", "Administrator")
    assert error.value.reason is IdentityReason.PASSWORD_WEAK
    assert await centre.bootstrap.create_administrator(read(file), "root", PASSWORD)


async def test_the_demo_withdraws_the_token(centre: Centre, file: Path) -> None:
    """Where everybody knows a password nobody needs a link."""
    await centre.bootstrap.offer()
    token = read(file)
    await centre.bootstrap.withdraw()
    assert not lies_there(file)
    assert await refused(centre, token) is IdentityReason.BOOTSTRAP_REFUSED
