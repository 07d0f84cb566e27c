"""A service account has a token that holds, or says why not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from mesh.context import AUTHORIZATION
from sequencer.sdk import SequencerError, SequencerUnavailable
from sequencer.sdk.account import RENEW_AT, RETRY_S, ServiceAccount

LIFE_S = 300


class Identity(identity_pb2_grpc.IdentityServiceServicer):
    """Issues numbered tokens, or what it is told to answer."""

    def __init__(self) -> None:
        self.issued = 0
        self.refusal: grpc.StatusCode | None = None

    def IssueServiceToken(
        self, request: pb.IssueServiceTokenRequest, context: Any
    ) -> pb.IssueServiceTokenResponse:
        if self.refusal is not None:
            context.abort(self.refusal, "no")
        if (request.client_id, request.client_secret) != ("shop", "secret"):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown")
        self.issued += 1
        grant = pb.TokenGrant(access_token=f"token {self.issued}", expires_in=LIFE_S)
        return pb.IssueServiceTokenResponse(grant=grant)


class Time:
    """A clock that stands still."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def identity() -> Identity:
    return Identity()  # type: ignore[abstract]


@pytest.fixture
def address(identity: Identity) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    identity_pb2_grpc.add_IdentityServiceServicer_to_server(identity, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def bearer(number: int) -> tuple[tuple[str, str], ...]:
    return ((AUTHORIZATION, f"Bearer token {number}"),)


def test_a_token_serves_until_it_is_renewed_in_time(address: str) -> None:
    """One call in most of its life, and the next token before it ends."""
    clock = Time()
    account = ServiceAccount(address, "shop", "secret", monotonic=clock)
    assert account.proofs() == account.proofs() == bearer(1)
    clock.now += RENEW_AT * LIFE_S - 1
    assert account.proofs() == bearer(1)
    clock.now += 1
    assert account.proofs() == bearer(2)


def test_an_outage_is_not_felt_while_the_token_holds(address: str, identity: Identity) -> None:
    """It is tried again now and then; once the token has ended, who asks is told."""
    clock = Time()
    account = ServiceAccount(address, "shop", "secret", monotonic=clock)
    account.proofs()
    identity.refusal = grpc.StatusCode.UNAVAILABLE
    clock.now += RENEW_AT * LIFE_S
    assert account.proofs() == bearer(1)
    clock.now += RETRY_S
    assert account.proofs() == bearer(1)
    clock.now += LIFE_S
    with pytest.raises(SequencerUnavailable):
        account.proofs()
    identity.refusal = None
    assert account.proofs() == bearer(2)


def test_an_account_that_is_refused_is_told_so(address: str) -> None:
    """Trying again would not help, unlike when identity is away."""
    with pytest.raises(SequencerError) as refused:
        ServiceAccount(address, "shop", "guess").proofs()
    assert not isinstance(refused.value, SequencerUnavailable)
    with pytest.raises(SequencerUnavailable):
        ServiceAccount("127.0.0.1:1", "shop", "secret").proofs()


def test_the_secret_is_not_shown(address: str) -> None:
    """Neither by its account nor by an error."""
    account = ServiceAccount(address, "shop", "secret-of-shop")
    with pytest.raises(SequencerError) as refused:
        account.proofs()
    assert "secret-of-shop" not in repr(account) + repr(refused.value)
