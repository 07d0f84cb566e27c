"""How a lane opens: the server says who listens, the client says who calls and proves it.

The server speaks first, so that a client can prove itself over the server's own nonce in
its first message, and send calls right behind it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, Self, TypeVar

import msgspec

from mesh.lane.frames import MAX_REQUEST, WINDOW, Buffer, LaneError, NotServedError

MAGIC: Final = "engine-lane"
VERSION: Final = 1
OLDEST: Final = 1
"""A peer of any version from `OLDEST` on is spoken to; N talks to N-1."""
FEATURES: Final = 0
"""Bits of what this version can do beyond its number; both sides use what both have."""
HELLO_S: Final = 2.0
"""How long either side waits for the other's hello."""
MAX_HELLO: Final = 64 << 10

_CONTEXT: Final = b"engine-lane proof"

Prove = Callable[[bytes], tuple[str, bytes]]
"""Signs: answers the name of the calling service and its signature."""
Check = Callable[[str, bytes, bytes], bool]
"""Whether a signature (last) over the bytes is that of a service (first)."""


class ServerHello(msgspec.Struct, array_like=True, frozen=True):
    """What the listener says first.

    `window` is how many calls may be unanswered, `listener` what the proof is bound to
    beside the nonce: the path of a Unix socket, empty elsewhere.
    """

    magic: str
    version: int = VERSION
    oldest: int = OLDEST
    features: int = FEATURES
    window: int = WINDOW
    max_request: int = MAX_REQUEST
    nonce: bytes = b""
    listener: str = ""

    @classmethod
    def fresh(cls, *, window: int, listener: str) -> Self:
        """A hello with a nonce of its own."""
        return cls(MAGIC, window=window, listener=listener, nonce=secrets.token_bytes(32))


class ClientHello(msgspec.Struct, array_like=True, frozen=True):
    """What the caller answers: the version and features to use, and who calls.

    `caller` and `proof` are empty for a client that is no service of the mesh.
    """

    magic: str
    version: int = VERSION
    features: int = FEATURES
    caller: str = ""
    proof: bytes = b""
    program: str = ""


def answer(hello: ServerHello, listener: str, prove: Prove | None, program: str) -> ClientHello:
    """The client's hello.

    Args:
        hello: what the server said.
        listener: where we connected to, as the server must know it too.
        prove: signs; None for a client without a key.
        program: what the caller shows itself as in lists, such as "gateway:4711".

    Raises:
        LaneError: they have no version in common.
    """
    version = min(VERSION, hello.version)
    if version < max(OLDEST, hello.oldest):
        raise LaneError(
            f"the server speaks versions {hello.oldest} to {hello.version} of lanes, "
            f"we {OLDEST} to {VERSION}"
        )
    features = FEATURES & hello.features
    caller, proof = "", b""
    if prove is not None:
        caller, proof = prove(_signed(hello.nonce, listener, version, features))
    return ClientHello(
        MAGIC, version=version, features=features, caller=caller, proof=proof, program=program
    )


def admit(hello: ServerHello, said: ClientHello, check: Check | None) -> None:
    """Take a client in, or refuse it.

    Raises:
        LaneError: it speaks another version, or does not prove what it says it is.
    """
    if not hello.oldest <= said.version <= hello.version:
        raise LaneError(f"version {said.version} of lanes is not served here")
    if said.features & ~hello.features:
        raise LaneError("the client uses features that were not offered")
    if not said.caller:
        return
    signed = _signed(hello.nonce, hello.listener, said.version, said.features)
    if check is None or not check(said.caller, signed, said.proof):
        raise LaneError(f"the caller does not prove that it is '{said.caller[:64]}'")


_Hello = TypeVar("_Hello", ServerHello, ClientHello)


def read(kind: type[_Hello], data: Buffer) -> _Hello:
    """Read a hello.

    Raises:
        NotServedError: it is none.
    """
    try:
        hello = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotServedError(f"the peer does not speak lanes: {error}") from None
    if hello.magic != MAGIC:
        raise NotServedError("the peer does not speak lanes")
    return hello


def write(hello: ServerHello | ClientHello) -> bytes:
    """A hello as it is sent."""
    return msgspec.msgpack.encode(hello)


def _signed(nonce: bytes, listener: str, version: int, features: int) -> bytes:
    return _CONTEXT + msgspec.msgpack.encode((nonce, listener, version, features))
