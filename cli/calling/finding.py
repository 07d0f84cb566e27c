"""From the name that a person writes to one method of one server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from cli.calling.catalogue import Catalogue, Row
from cli.calling.peers import Peer, ask
from cli.output import fail


def ask_about(name: str, peers: Mapping[str, Peer]) -> tuple[Catalogue, Sequence[str]]:
    """What the servers serve that a name may be about, and who of them did not answer.

    A name that begins with a server's is about that one alone, else all are asked.

    Raises:
        grpc.RpcError: no server answers.
        ContractError: likewise.
    """
    head, _, _ = name.partition("/")
    head = head if head in peers else name.rpartition(".")[0]
    asked = [peers[head]] if head in peers else [*peers.values()]
    contracts, silent = ask(asked)
    return Catalogue.of(contracts), silent


def method(name: str, catalogue: Catalogue, silent: Sequence[str]) -> Row:
    """The one method that a name means; ends the program when it is none or several."""
    found = catalogue.methods(name)
    if not found and catalogue.group(name):
        fail(f"'{name}' is a service", f"Choose a method: 'engine call {name}' lists them.", code=2)
    if not found:
        _unknown(name, catalogue, silent)
    if len(found) > 1:
        labels = ", ".join(catalogue.label(row) for row in found)
        fail(f"'{name}' is a method of several services", f"Choose one of {labels}.", code=2)
    return found[0]


def group(name: str, catalogue: Catalogue) -> Sequence[Row]:
    """The methods to list for a name; none when it is a method's. All, for no name."""
    return catalogue.group(name) if name else catalogue.rows


def _unknown(name: str, catalogue: Catalogue, silent: Sequence[str]) -> NoReturn:
    near = catalogue.near(name)
    lists = "'engine call SERVICE' lists the methods of a service, 'engine status' the services."
    without = f" ({', '.join(silent)} did not say what they serve)" if silent else ""
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    fail(f"nothing that runs serves '{name}'{without}", f"{meant}{lists}", code=2)
