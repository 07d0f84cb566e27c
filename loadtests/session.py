"""Demo users who are signed on."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc

from engine.identity.v1 import identity_pb2, identity_pb2_grpc
from mesh.context import Metadata

DEMO_PASSWORD = "engine-demo"  # noqa: S105 - known to all, and accepted in the demo alone


def sign_on(identity: grpc.Channel, username: str) -> identity_pb2.TokenGrant:
    """The tokens of a demo user."""
    request = identity_pb2.CreateSessionRequest(username=username, password=DEMO_PASSWORD)
    return identity_pb2_grpc.IdentityServiceStub(identity).CreateSession(request).grant


class Session:
    """A user who is signed on, and signs on again before the access token ends.

    Args:
        sign_on: answers an access token and the seconds that it lives.
    """

    def __init__(self, sign_on: Callable[[], tuple[str, float]]) -> None:
        self._sign_on = sign_on
        self._token = ""
        self._renew_at = float("-inf")

    def header(self) -> str:
        """The value of the header Authorization."""
        if time.monotonic() >= self._renew_at:
            self._token, lives_s = self._sign_on()
            self._renew_at = time.monotonic() + lives_s * 0.8
        return f"Bearer {self._token}"

    def proofs(self) -> Metadata:
        """The metadata of a gRPC call."""
        return (("authorization", self.header()),)
