"""Load tests find the services, or say what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.targets import TargetMissing, Targets
from mesh import DirectoryRegistry, Entry


@pytest.fixture
async def environ(tmp_path: Path) -> dict[str, str]:
    """A registry with a gateway and a customer centre in it."""
    registry = DirectoryRegistry(tmp_path / "run")
    for service, http in (("gateway", "127.0.0.1:8081"), ("customer", "")):
        await registry.register(
            Entry(
                service=service,
                instance="1",
                address="127.0.0.1:5000",
                socket="",
                host_id="here",
                pid=os.getpid(),
                version="1",
                http=http,
            )
        )
    return {"ENGINE_VAR": str(tmp_path)}


def test_addresses_come_from_the_registry(environ: dict[str, str]) -> None:
    """A service's gRPC address, and the gateway's URL."""
    targets = Targets(environ=environ)

    assert targets.running()
    assert targets.grpc("customer") == "127.0.0.1:5000"
    assert targets.gateway() == "http://127.0.0.1:8081"


def test_an_address_that_is_told_goes_first(environ: dict[str, str]) -> None:
    """A service on another machine is named, and the registry is not asked."""
    told = Targets(["customer=bank.example:443", "ark=bank.example:444"], environ)

    assert told.grpc("customer") == "bank.example:443"
    assert told.grpc("ark") == "bank.example:444"


def test_a_missing_service_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Nothing is guessed: the message names the service and the ways to give it."""
    targets = Targets(environ={"ENGINE_VAR": str(tmp_path)})

    assert not targets.running()
    with pytest.raises(TargetMissing, match="No 'identity' is registered: start the platform"):
        targets.grpc("identity")


def test_a_key_that_is_not_here_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Outside parties can be played on the platform's own machine alone."""
    targets = Targets(environ={"ENGINE_VAR": str(tmp_path)})

    with pytest.raises(TargetMissing, match="No key of 'loader'"):
        targets.key("loader")
