"""The signing keys: their file, their rotation, the tokens they make."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from centers.identity.keyring import KEPT, MAX_AGE, Keyring
from mesh.clock import ManualClock
from mesh.context import Principal
from mesh.errors import MeshError
from mesh.tokens import TokenVerifier

PRINCIPAL = Principal(subject="rm001", permissions=frozenset({"identity.self"}), session_id="s")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "identity-signing.json"


def verifier(keyring: Keyring, clock: ManualClock) -> TokenVerifier:
    verifier = TokenVerifier({"services": {}}, clock)
    verifier.set_keys(keyring.public_keys())
    return verifier


def test_the_first_opening_makes_a_key_that_its_owner_alone_can_read(
    path: Path, clock: ManualClock
) -> None:
    """The file has mode 0600, its folder 0700, and nothing is left beside it."""
    Keyring.open(path, clock)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_the_key_outlives_the_process(path: Path, clock: ManualClock) -> None:
    """Opening again finds the same key."""
    assert Keyring.open(path, clock).public_keys() == Keyring.open(path, clock).public_keys()


def test_processes_that_start_together_use_one_key(path: Path, clock: ManualClock) -> None:
    """Whoever loses the race to create the file reads the winner's."""
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: Keyring.open(path, clock), range(8)))
    assert len({ring.public_keys()[0]["kid"] for ring in rings}) == 1


def test_a_token_is_verified_with_the_public_keys(path: Path, clock: ManualClock) -> None:
    """What the keyring signs, any verifier reads back."""
    keyring = Keyring.open(path, clock)
    token = keyring.sign(PRINCIPAL, issued=clock.now(), ttl_s=300)
    assert verifier(keyring, clock).user(token) == PRINCIPAL


def test_public_keys_have_no_private_part(path: Path, clock: ManualClock) -> None:
    """Only the fields of RFC 8037's public key are served, with use and algorithm."""
    keyring = Keyring.open(path, clock)
    keyring.rotate()
    for key in keyring.public_keys():
        assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == (
            "OKP",
            "Ed25519",
            "Ed25519",
            "sig",
        )


def test_after_a_rotation_old_tokens_stay_valid(path: Path, clock: ManualClock) -> None:
    """Both the old key's tokens and the new one's are accepted."""
    keyring = Keyring.open(path, clock)
    before = keyring.sign(PRINCIPAL, issued=clock.now(), ttl_s=300)
    keyring.rotate()
    after = keyring.sign(PRINCIPAL, issued=clock.now(), ttl_s=300)
    checks = verifier(Keyring.open(path, clock), clock)
    assert checks.user(before) == checks.user(after) == PRINCIPAL
    assert len(keyring.public_keys()) == 2


def test_an_old_key_is_dropped_when_none_of_its_tokens_can_be_valid(
    path: Path, clock: ManualClock
) -> None:
    """It is served for two hours, which is longer than a token may live."""
    keyring = Keyring.open(path, clock)
    before = keyring.sign(PRINCIPAL, issued=clock.now(), ttl_s=3600)
    keyring.rotate()
    clock.advance(KEPT.total_seconds())
    assert len(keyring.public_keys()) == 1
    with pytest.raises(MeshError):
        verifier(keyring, clock).user(before)


def test_a_retired_key_cannot_sign_any_more(path: Path, clock: ManualClock) -> None:
    """Its private half is not kept."""
    keyring = Keyring.open(path, clock)
    private = json.loads(path.read_text())["signing"]["d"]
    keyring.rotate()
    assert private not in path.read_text()


def test_several_retired_keys_are_kept_at_once(path: Path, clock: ManualClock) -> None:
    """Rotating twice in a row keeps both old keys, and then lets go of them."""
    keyring = Keyring.open(path, clock)
    keyring.rotate()
    keyring.rotate()
    assert len({key["kid"] for key in keyring.public_keys()}) == 3
    clock.advance(KEPT.total_seconds())
    keyring.rotate()
    assert len(json.loads(path.read_text())["retired"]) == 1


@pytest.mark.parametrize(("age", "keys"), [(MAX_AGE - timedelta(seconds=1), 1), (MAX_AGE, 2)])
def test_a_key_of_ninety_days_is_replaced_at_the_next_start(
    path: Path, clock: ManualClock, age: timedelta, keys: int
) -> None:
    """Opening rotates an old key and leaves a younger one."""
    Keyring.open(path, clock)
    clock.advance(age.total_seconds())
    assert len(Keyring.open(path, clock).public_keys()) == keys


def test_processes_that_find_an_old_key_together_replace_it_once(
    path: Path, clock: ManualClock
) -> None:
    """All sign with the same new key, and all serve the old one."""
    Keyring.open(path, clock)
    clock.advance(MAX_AGE.total_seconds())
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: Keyring.open(path, clock), range(8)))
    served = [[key["kid"] for key in ring.public_keys()] for ring in rings]
    assert len(served[0]) == 2
    assert served == [served[0]] * 8


def test_a_process_serves_and_uses_the_key_that_another_made(
    path: Path, clock: ManualClock
) -> None:
    """From the rotation on, though it was opened before; without the file it knows what it knew."""
    before, other = Keyring.open(path, clock), Keyring.open(path, clock)
    other.rotate()
    assert before.public_keys() == other.public_keys()
    token = before.sign(PRINCIPAL, issued=clock.now(), ttl_s=300)
    assert verifier(other, clock).user(token) == PRINCIPAL
    path.unlink()
    assert len(before.public_keys()) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"signing": {"kty": "OKP"}}'])
def test_a_file_that_is_no_keyring_is_not_overwritten(
    path: Path, clock: ManualClock, content: str
) -> None:
    """It is refused by name: it may be a key that somebody needs."""
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ValueError, match="is not a keyring"):
        Keyring.open(path, clock)
    assert path.read_text() == content
