"""How long a call may take."""

from __future__ import annotations

import pytest

from gateway.calls import requested_timeout_s
from gateway.errors import GatewayReason
from gateway.http import Request
from mesh.errors import MeshError


def request(name: str, value: str) -> Request:
    headers = {name.encode(): value.encode()}
    return Request(method="GET", path="/", query="", headers=headers, body=b"")


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("x-server-timeout", "2", 2.0),
        ("x-server-timeout", "0.25", 0.25),
        ("grpc-timeout", "2S", 2.0),
        ("grpc-timeout", "250m", 0.25),
        ("grpc-timeout", "1H", 3600.0),
        ("host", "x", None),
    ],
)
def test_clients_may_say_how_long_they_wait(name: str, value: str, seconds: float | None) -> None:
    """In seconds, or as gRPC does."""
    assert requested_timeout_s(request(name, value)) == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-server-timeout", "0"),
        ("x-server-timeout", "-1"),
        ("x-server-timeout", "1s"),
        ("x-server-timeout", "nan"),
        ("grpc-timeout", "1"),
        ("grpc-timeout", "0S"),
        ("grpc-timeout", "1000000000S"),
    ],
)
def test_what_is_no_time_out_is_refused(name: str, value: str) -> None:
    """A deadline that is not understood must not be ignored."""
    with pytest.raises(MeshError) as caught:
        requested_timeout_s(request(name, value))
    assert caught.value.reason is GatewayReason.INVALID_HEADER
