"""Random secrets and what is kept of them."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from centers.identity.credentials import digest, matches, new_secret, new_session_id


def test_a_secret_has_256_random_bits() -> None:
    """Each secret decodes to 32 bytes, and no two are alike."""
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.urlsafe_b64decode(secret + "=")) for secret in made} == {32}


def test_a_session_id_has_128_random_bits() -> None:
    """Nobody guesses the id of another session."""
    assert len(base64.urlsafe_b64decode(new_session_id() + "==")) == 16


def test_what_is_kept_does_not_contain_the_secret() -> None:
    """A digest is 64 hexadecimal digits, whatever the secret."""
    secret = new_secret()
    assert secret not in digest(secret)
    assert len(digest(secret)) == 64


@given(st.text(), st.text())
def test_only_the_secret_itself_matches(secret: str, other: str) -> None:
    """A secret matches its own digest and no other's."""
    assert matches(secret, digest(secret))
    assert matches(other, digest(secret)) == (other == secret)
