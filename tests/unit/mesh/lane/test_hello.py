"""How a lane opens, and who is let in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.lane import hello as opening
from mesh.lane.frames import LaneError, NotServedError
from mesh.lane.hello import ClientHello, ServerHello, admit, answer
from mesh.lane.keeper import State
from tests.unit.mesh.lane.world import ECHO, World

PATH = "/run/service.lane"
KEYS = {"gateway": Ed25519PrivateKey.generate(), "customer": Ed25519PrivateKey.generate()}


def signs(service: str, key: str = "") -> opening.Prove:
    """Signs as a service, with its own key or with that of another."""
    return lambda data: (service, KEYS[key or service].sign(data))


def check(service: str, data: bytes, signature: bytes) -> bool:
    if service not in KEYS:
        return False
    try:
        KEYS[service].public_key().verify(signature, data)
    except InvalidSignature:
        return False
    return True


def server_hello(**more: Any) -> ServerHello:
    return ServerHello(opening.MAGIC, nonce=b"n" * 32, listener=PATH, **more)


def test_a_service_proves_itself() -> None:
    """The signature is over what the server said."""
    hello = server_hello()
    admit(hello, answer(hello, PATH, signs("gateway"), "pid 1"), check)


def test_a_client_that_is_no_service_is_let_in_as_nobody() -> None:
    """A user's program has no key."""
    hello = server_hello()
    said = answer(hello, PATH, None, "pid 1")
    assert (said.caller, said.proof) == ("", b"")
    admit(hello, said, check)
    admit(hello, said, None)


@pytest.mark.parametrize(
    ("listener", "prove"),
    [
        (PATH, signs("gateway", "customer")),
        (PATH, signs("stranger", "gateway")),
        (PATH, lambda _: ("gateway", b"")),
        (PATH, lambda _: ("gateway", b"x" * 64)),
        ("/run/other.lane", signs("gateway")),
        ("", signs("gateway")),
    ],
    ids=["wrong key", "unknown", "no proof", "nonsense", "other listener", "no listener"],
)
def test_who_does_not_prove_what_it_says_is_refused(listener: str, prove: opening.Prove) -> None:
    """Another's key, no key, or a proof made for another listener."""
    hello = server_hello()
    with pytest.raises(LaneError, match="does not prove"):
        admit(hello, answer(hello, listener, prove, ""), check)


def test_a_proof_that_was_overheard_is_worth_nothing() -> None:
    """Each lane has a nonce of its own."""
    first, second = (ServerHello.fresh(window=1, listener=PATH) for _ in range(2))
    assert first.nonce != second.nonce
    said = answer(first, PATH, signs("gateway"), "")
    with pytest.raises(LaneError, match="does not prove"):
        admit(second, said, check)


def test_the_proof_covers_version_and_features() -> None:
    """Nobody between can make two ends agree on less than they would."""
    hello = server_hello()
    said = answer(hello, PATH, signs("gateway"), "")
    altered = msgspec.structs.replace(said, version=said.version - 1)
    lenient = msgspec.structs.replace(hello, oldest=0)
    with pytest.raises(LaneError, match="does not prove"):
        admit(lenient, altered, check)


def test_a_server_that_proves_nobody_refuses_who_says_who_it_is() -> None:
    """A name that is not checked must not count."""
    hello = server_hello()
    with pytest.raises(LaneError, match="does not prove"):
        admit(hello, answer(hello, PATH, signs("gateway"), ""), None)


@pytest.mark.parametrize(
    ("theirs", "agreed"),
    [((1, 1), 1), ((2, 1), 1), ((9, 1), 1)],
    ids=["same", "next", "far ahead"],
)
def test_both_ends_use_the_newest_version_that_both_speak(
    theirs: tuple[int, int], agreed: int
) -> None:
    """N talks to N-1."""
    hello = server_hello(version=theirs[0], oldest=theirs[1])
    said = answer(hello, PATH, signs("gateway"), "")
    assert said.version == agreed
    admit(hello, said, check)


def test_a_server_of_version_n_serves_a_client_of_n_minus_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And a client of N speaks N-1 to a server that knows no better."""
    monkeypatch.setattr(opening, "VERSION", 2)
    said = answer(server_hello(version=1, oldest=1), PATH, None, "")
    assert said.version == 1
    admit(server_hello(version=2, oldest=1), said, check)


@pytest.mark.parametrize("theirs", [(9, 2), (0, 0)], ids=["too new", "too old"])
def test_without_a_version_in_common_there_is_no_lane(theirs: tuple[int, int]) -> None:
    """The client says which versions there are."""
    with pytest.raises(LaneError, match="speaks versions"):
        answer(server_hello(version=theirs[0], oldest=theirs[1]), PATH, None, "")


@pytest.mark.parametrize("version", [0, 2, -1])
def test_a_version_that_was_not_offered_is_refused(version: int) -> None:
    """Whatever the client thinks it may use."""
    with pytest.raises(LaneError, match=f"version {version}"):
        admit(server_hello(), ClientHello(opening.MAGIC, version=version), check)


@pytest.mark.parametrize("features", [1, 1 << 40, -1])
def test_features_that_were_not_offered_are_refused(features: int) -> None:
    """Both sides use what both have."""
    with pytest.raises(LaneError, match="features"):
        admit(server_hello(features=0), ClientHello(opening.MAGIC, features=features), check)


def test_of_features_that_are_offered_the_unknown_ones_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A newer server may have more."""
    monkeypatch.setattr(opening, "FEATURES", 0b011)
    assert answer(server_hello(features=0b110), PATH, None, "").features == 0b010


@pytest.mark.parametrize("kind", [ServerHello, ClientHello])
@pytest.mark.parametrize(
    "data",
    [b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"\x90\x90", b"\x91\xa5other", b"\xff"],
    ids=["nothing", "http", "tls", "two", "other magic", "noise"],
)
def test_what_is_no_hello_is_no_lane(kind: type[Any], data: bytes) -> None:
    """The peer speaks something else: it has no lanes."""
    with pytest.raises(NotServedError):
        opening.read(kind, data)


def test_a_hello_of_another_version_can_be_read() -> None:
    """A later one may have more fields, an earlier one less."""
    more = msgspec.msgpack.encode([*msgspec.structs.astuple(server_hello(version=2)), "more", 1])
    assert opening.read(ServerHello, more).version == 2
    assert opening.read(ServerHello, msgspec.msgpack.encode(["engine-lane", 1])).version == 1


def test_a_proven_service_has_a_turn_of_its_own() -> None:
    """All its lanes count as one caller, by its name, and handlers see who it is."""
    with World(check=check, prove=signs("gateway")) as world:
        world.client.listener = world.server._hello.listener
        call = world.call(ECHO, b"x")
        world.settle()
        assert call.reply == b"x"
        assert world.server.caller == "gateway"
        assert world.desk.contexts[b"x"].auth_context()["engine_caller"] == [b"gateway"]


def test_a_client_that_is_refused_is_told_why_and_runs_nothing() -> None:
    """Calls sent with its hello are not begun."""
    with World(check=check, prove=signs("gateway", "customer")) as world:
        call = world.call(ECHO, b"x")
        world.settle()
        assert world.client.state is State.OPENING
        error = world.client.opened.exception()
        assert "does not prove that it is 'gateway'" in str(error)
        assert not world.desk.ran
        assert not call.is_done
