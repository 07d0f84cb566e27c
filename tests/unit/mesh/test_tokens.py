"""Users' tokens and callers' tokens: what is believed and what is refused."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from engine.mesh.v1 import policy_pb2
from mesh.clock import ManualClock
from mesh.context import Principal
from mesh.errors import MeshError
from mesh.tokens import (
    ALGORITHM,
    Caller,
    ServiceKey,
    TokenVerifier,
    sign_user,
    user_claims,
    write_trust,
)

PRINCIPAL = Principal(
    subject="rm001",
    permissions=frozenset({"customer.read"}),
    data_scope=policy_pb2.SCOPE_OWN_BOOK,
    roles=("relationship-manager",),
    staff_id=1,
    branch_id=1,
    session_id="s1",
)


class Issuer:
    """Signs tokens with a key of its own, at the time of a clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.key = OKPKey.generate_key("Ed25519")

    @property
    def jwk(self) -> dict[str, str]:
        return {**self.key.as_dict(private=False), "kid": "k1"}  # type: ignore[dict-item]

    def token(self, ttl_s: float = 60, key_id: str = "k1") -> str:
        now = self.clock.now().timestamp()
        return sign_user(PRINCIPAL, self.key, key_id, issued=now, ttl_s=ttl_s)

    def claims(self, **changes: Any) -> str:
        claims = user_claims(PRINCIPAL, issued=self.clock.now().timestamp(), ttl_s=60) | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": ALGORITHM, "kid": "k1"}
        return jwt.encode(header, kept, self.key, algorithms=[ALGORITHM])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer(clock: ManualClock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def verifier(var: Path, clock: ManualClock, issuer: Issuer) -> TokenVerifier:
    write_trust(var, {"customer": {"ark.query"}, "ark": set()})
    verifier = TokenVerifier.load(var, clock)
    verifier.set_keys([issuer.jwk])
    return verifier


def refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(MeshError) as error:
        verifier.user(token)
    return error.value.reason.name


def test_a_good_token_tells_who_the_user_is(verifier: TokenVerifier, issuer: Issuer) -> None:
    """All claims come back, also from the memory of tokens."""
    token = issuer.token()
    assert verifier.user(token) == PRINCIPAL
    assert verifier.user(token) is verifier.user(token)


def test_a_token_ends_at_its_expiry_also_when_it_is_remembered(
    verifier: TokenVerifier, issuer: Issuer, clock: ManualClock
) -> None:
    """Memory does not prolong a token."""
    token = issuer.token(ttl_s=60)
    verifier.user(token)
    clock.advance(63)
    assert refused(verifier, token) == "TOKEN_EXPIRED"
    assert refused(verifier, token) == "TOKEN_EXPIRED"


def test_an_ended_session_is_refused_before_its_token_expires(
    verifier: TokenVerifier, issuer: Issuer, clock: ManualClock
) -> None:
    """Revocation reaches tokens that are already remembered."""
    token = issuer.token()
    verifier.user(token)
    verifier.end_session("s1", clock.now().timestamp() + 60)
    assert refused(verifier, token) == "SESSION_ENDED"


def test_without_keys_nobody_is_believed(var: Path, issuer: Issuer, clock: ManualClock) -> None:
    """A process that has not heard from identity yet says so."""
    write_trust(var, {})
    assert refused(TokenVerifier.load(var, clock), issuer.token()) == "KEYS_UNAVAILABLE"


def test_a_token_of_an_unknown_key_is_refused_and_asks_for_fresh_keys(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """A rotated key is fetched; a forged key id gains nothing."""
    asked: list[bool] = []
    verifier.on_unknown_key = lambda: asked.append(True)
    assert refused(verifier, issuer.token(key_id="k2")) == "TOKEN_INVALID"
    assert asked


def test_a_key_set_that_cannot_be_read_changes_nothing(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """A broken answer of the identity centre does not end everybody's session."""
    for broken in ({}, {"kid": "k1"}, {**issuer.jwk, "x": "!"}, {**issuer.jwk, "crv": "P-256"}):
        with pytest.raises(ValueError, match="Ed25519"):
            verifier.set_keys([broken])
    assert verifier.user(issuer.token()) == PRINCIPAL


def test_a_token_signed_with_another_key_is_refused(
    verifier: TokenVerifier, clock: ManualClock
) -> None:
    """The right key id does not help a wrong signature."""
    assert refused(verifier, Issuer(clock).token()) == "TOKEN_INVALID"


def test_a_token_without_signature_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Algorithm 'none' is not an algorithm."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = user_claims(PRINCIPAL, issued=issuer.clock.now().timestamp(), ttl_s=60)
    assert (
        refused(verifier, f"{part({'alg': 'none', 'kid': 'k1'})}.{part(claims)}.")
        == "TOKEN_INVALID"
    )


def test_a_token_signed_with_the_public_key_as_secret_is_refused(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Key confusion: HS256 over the public key."""
    secret = OctKey.import_key(base64.urlsafe_b64decode(issuer.jwk["x"] + "="))
    claims = user_claims(PRINCIPAL, issued=issuer.clock.now().timestamp(), ttl_s=60)
    forged = jwt.encode({"alg": "HS256", "kid": "k1"}, claims, secret)
    assert refused(verifier, forged) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "engine-mesh"},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"perms": None},
        {"scope_level": "all"},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_with_wrong_or_missing_claims_is_refused(
    verifier: TokenVerifier, issuer: Issuer, changes: dict[str, Any]
) -> None:
    """Issuer, audience, expiry and all claims must be there and right."""
    assert refused(verifier, issuer.claims(**changes)) == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b", "é.é.é", "..", "a" * 5000])
def test_what_is_no_token_at_all_is_refused(verifier: TokenVerifier, token: str) -> None:
    """Garbage raises nothing but the refusal."""
    assert refused(verifier, token) == "TOKEN_INVALID"


def test_a_service_proves_itself_with_its_own_key(var: Path, verifier: TokenVerifier) -> None:
    """The rights stand in the trust file, not in the token."""
    token = ServiceKey.load(var, "customer").token()
    assert verifier.caller(token) == Caller("customer", frozenset({"ark.query"}))


def test_a_service_cannot_pose_as_another(var: Path, verifier: TokenVerifier) -> None:
    """A token signed with ark's key that names customer is refused."""
    own = json.loads((var / "ark.key").read_text())
    posing = ServiceKey("customer", OKPKey.import_key(own)).token()
    with pytest.raises(MeshError, match="CALLER_REFUSED"):
        verifier.caller(posing)


def test_a_service_that_is_not_trusted_is_refused(verifier: TokenVerifier) -> None:
    """Keys outside the trust file prove nothing."""
    stranger = ServiceKey("stranger", OKPKey.generate_key("Ed25519")).token()
    with pytest.raises(MeshError, match="CALLER_REFUSED"):
        verifier.caller(stranger)


def test_a_users_token_is_no_proof_of_a_service(verifier: TokenVerifier, issuer: Issuer) -> None:
    """The two kinds do not stand for one another."""
    with pytest.raises(MeshError):
        verifier.caller(issuer.token())


def test_a_service_renews_its_token_before_it_expires(var: Path) -> None:
    """Half-way through, a new one is signed."""
    write_trust(var, {"customer": set()})
    clock = ManualClock()
    key = ServiceKey(
        "customer", OKPKey.import_key(json.loads((var / "customer.key").read_text())), clock
    )
    first = key.token()
    clock.advance(200)
    assert key.token() == first
    clock.advance(200)
    assert key.token() != first


def test_keys_are_their_owners_alone_and_stay_the_same(var: Path) -> None:
    """Writing trust again keeps keys and takes new rights."""
    write_trust(var, {"customer": {"a"}})
    path = var / "customer.key"
    before = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_trust(var, {"customer": {"b"}})
    assert path.read_text() == before
    assert json.loads((var / "trust.json").read_text())["services"]["customer"]["rights"] == ["b"]
    assert "d" not in json.loads((var / "trust.json").read_text())["services"]["customer"]["key"]


def test_a_digest_is_the_same_for_its_service_alone(var: Path) -> None:
    """Equal data under another key digests to something else, so nobody can guess by trying."""
    write_trust(var, {"customer": set(), "ark": set()})
    customer, again, ark = (ServiceKey.load(var, name) for name in ("customer", "customer", "ark"))
    assert customer.digest(b"secret") == again.digest(b"secret")
    assert customer.digest(b"secret") != ark.digest(b"secret")
    assert customer.digest(b"secret") != customer.digest(b"Secret")


def test_tokens_of_an_epoch_that_is_over_are_refused(
    verifier: TokenVerifier, issuer: Issuer
) -> None:
    """Remembered ones too; those of the present epoch, and of one not heard of yet, are not."""
    old, new, next_one = (issuer.claims(epoch=epoch) for epoch in (None, 2, 3))
    assert verifier.user(old) == PRINCIPAL
    verifier.begin_epoch(2)
    assert refused(verifier, old) == "RIGHTS_CHANGED"
    assert verifier.user(new) == verifier.user(next_one) == PRINCIPAL
    assert refused(verifier, issuer.claims(epoch="2")) == "TOKEN_INVALID"


def test_who_remembers_answers_asks_again_in_a_new_epoch(verifier: TokenVerifier) -> None:
    """The present epoch, told again, changes nothing."""
    before = verifier.generation
    verifier.begin_epoch(1)
    assert verifier.generation == before + 1
    verifier.begin_epoch(1)
    assert verifier.generation == before + 1
