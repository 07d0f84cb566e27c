"""How a program proves itself to the sequencer: as a service account."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import grpc

from engine.identity.v1.identity_pb2 import IssueServiceTokenRequest, TokenGrant
from engine.identity.v1.identity_pb2_grpc import IdentityServiceStub
from mesh.blocking import blocking_channel
from mesh.context import AUTHORIZATION, Metadata
from sequencer.sdk._link import translated

ISSUE_S: Final = 2.0
"""How long a token may take to come."""

RENEW_AT: Final = 0.8
"""Part of its life after which a token is renewed."""

RETRY_S: Final = 5.0
"""Between two tries to renew a token that still holds."""


class ServiceAccount:
    """A service account, with a new token before the old one ends.

        account = ServiceAccount("127.0.0.1:50051", "shop", secret)
        sequencer = Sequencer(GrpcRangeSource("127.0.0.1:50060", account.proofs))

    It is connected for as long as it takes to get a token, once in some minutes, so it
    works in forked children too. Any number of threads may use it.

    Args:
        identity: gRPC address of the identity service.
        client_id: the account's name.
        secret: its secret.
        monotonic: seconds that never step back.
    """

    def __init__(
        self,
        identity: str,
        client_id: str,
        secret: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._request = IssueServiceTokenRequest(client_id=client_id, client_secret=secret)
        self._monotonic = monotonic
        self._proofs: Metadata = ()
        self._ends_at = self._renew_at = float("-inf")

    def proofs(self) -> Metadata:
        """The metadata of a call.

        Raises:
            SequencerUnavailable: no token came, and none holds.
            SequencerError: the account was refused.
        """
        now = self._monotonic()
        if now >= self._renew_at:
            self._renew(now)
        return self._proofs

    def _renew(self, now: float) -> None:
        try:
            grant = self._issued()
        except grpc.RpcError as error:
            if now >= self._ends_at:
                raise translated(error) from error
            self._renew_at = min(now + RETRY_S, self._ends_at)
            return
        self._proofs = ((AUTHORIZATION, f"Bearer {grant.access_token}"),)
        self._ends_at = now + grant.expires_in
        self._renew_at = now + grant.expires_in * RENEW_AT

    def _issued(self) -> TokenGrant:
        with blocking_channel(self._identity) as channel:
            stub = IdentityServiceStub(channel)
            return stub.IssueServiceToken(self._request, timeout=ISSUE_S).grant
