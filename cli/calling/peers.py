"""The servers that can be asked: those in the registry, or one at an address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

import grpc

from cli.calling.callers import NOBODY, Caller
from cli.calling.reflection import fetch
from cli.connect import blocking_channel, find
from cli.names import OPERATOR
from cli.output import fail
from mesh.blocking import blocking_channel as open_channel
from mesh.context import Metadata
from mesh.contract import ContractError
from mesh.reflection import Contract
from mesh.registry import DirectoryRegistry, State
from mesh.settings import Settings

MAX_ASKED_AT_ONCE: Final = 8


class Peer(Protocol):
    """A server that can be called."""

    @property
    def name(self) -> str:
        """What it is called by on the command line."""

    @property
    def where(self) -> str:
        """Its gRPC address."""

    def known_as(self, caller: Caller) -> str:
        """Who a caller is to it, for people."""

    def open(self, caller: Caller) -> AbstractContextManager[grpc.Channel]:
        """A blocking channel to it."""

    def proofs(self, caller: Caller) -> Metadata:
        """What proves the caller and is not sent by the channel itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A service of this machine's registry."""

    name: str
    settings: Settings

    @property
    def where(self) -> str:
        """The socket of its first instance."""
        return f"unix:{find(self.name, self.settings).socket}"

    def known_as(self, caller: Caller) -> str:
        """The caller, else the operator."""
        return caller.text or OPERATOR

    def open(self, caller: Caller) -> AbstractContextManager[grpc.Channel]:
        """A channel that proves the user, else the local identity, else the operator."""
        return blocking_channel(
            self.name,
            caller=caller.service or OPERATOR,
            token=caller.token,
            settings=self.settings,
        )

    def proofs(self, caller: Caller) -> Metadata:
        """The local identity, when there is a user too."""
        return Caller(service=caller.service).proofs(self.settings) if caller.token else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """Any gRPC server, at "host:port" or "unix:/path", in plain text."""

    name: str
    settings: Settings | None

    @property
    def where(self) -> str:
        """The address."""
        return self.name

    def known_as(self, caller: Caller) -> str:
        """The caller, else nobody."""
        return caller.text or "nobody"

    def open(self, caller: Caller) -> AbstractContextManager[grpc.Channel]:  # noqa: ARG002
        """A channel that proves nobody by itself: the server may be anybody's."""
        return open_channel(self.name)

    def proofs(self, caller: Caller) -> Metadata:
        """All that the caller was told to prove."""
        return caller.proofs(self.settings)


def servers_at(address: str, settings: Settings | None) -> dict[str, Peer]:
    """The one server at an address, else all services of this machine, by their names.

    Ends the program when none runs. `settings` are those of the platform; with an address
    they may be left out, as long as no caller has his key there.
    """
    if address:
        return {address: Addressed(name=address, settings=settings)}
    assert settings is not None
    running = DirectoryRegistry(settings.run_dir).services()
    names = [n for n, found in running.items() if any(e.state is State.SERVING for e in found)]
    if not names:
        fail(
            f"nothing serves on {settings.var}",
            "Start the platform with 'make run', or call a server elsewhere by --address.",
        )
    return {name: Registered(name=name, settings=settings) for name in sorted(names)}


def ask(asked: Iterable[Peer]) -> tuple[Sequence[tuple[str, Contract]], Sequence[str]]:
    """The contracts of servers, asked side by side; and the names of those that do not answer.

    Raises:
        grpc.RpcError: none answers; as the first one failed.
        ContractError: likewise.
    """
    with ThreadPoolExecutor(MAX_ASKED_AT_ONCE) as pool:
        answers = [*pool.map(_asked, asked)]
    found = [(name, got) for name, got in answers if isinstance(got, Contract)]
    failed = [(name, got) for name, got in answers if isinstance(got, Exception)]
    if failed and not found:
        raise failed[0][1]
    return found, [name for name, _ in failed]


def _asked(peer: Peer) -> tuple[str, Contract | Exception]:
    try:
        with peer.open(NOBODY) as channel:
            return peer.name, fetch(channel)
    except (grpc.RpcError, ContractError) as error:
        return peer.name, error
