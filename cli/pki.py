"""`engine pki`: the certificates of services and hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import load_settings
from cli.output import fail, print_table, terminal

if TYPE_CHECKING:
    from mesh.pki import Authority, Issued

app = typer.Typer(
    no_args_is_help=True,
    help="""Certificates for services on several hosts.

    'init' makes an authority, 'issue' a certificate for a service or a host, 'renew' replaces
    those that are soon over, 'show' lists them. They lie in ENGINE_VAR/pki unless --folder says
    otherwise. Give hosts their own .pem and .key and ca.pem; ca.key stays where it is.
    docs/howto/trust.md leads through it.
    """,
)

Folder = Annotated[
    Path | None, typer.Option(help="Folder of the authority; ENGINE_VAR/pki by default.")
]


@app.command()
def init(
    *,
    folder: Folder = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Life of the authority.")] = 730,
) -> None:
    """Make an authority: ca.pem for every host, ca.key for nobody.

    An authority that is there is never overwritten.

    Example: engine pki init
    """
    from mesh.pki import CA, CA_KEY, Authority

    where = _folder(folder)
    with _explained():
        authority = Authority.create(where, days=days)
    ends = authority.certificate.not_valid_after_utc
    typer.echo(f"{where / CA} is believed until {ends:%Y-%m-%d}.")
    if terminal():
        typer.echo(f"Keep {where / CA_KEY} off the hosts of services: who has it can pose as any.")
        typer.echo("Next: engine pki issue customer --host 127.0.0.1")


@app.command()
def issue(
    names: Annotated[
        list[str], typer.Argument(help="Services: 'customer ark'. With --shared: a host.")
    ],
    *,
    host: Annotated[
        list[str], typer.Option(help="Name or address that peers dial; several are allowed.")
    ],
    shared: Annotated[
        bool, typer.Option("--shared", help="One certificate for all services of a host.")
    ] = False,
    days: Annotated[float, typer.Option(help="Life of the certificate, at most 397.")] = 7.0,
    folder: Folder = None,
) -> None:
    """Issue certificates: NAME.pem and NAME.key, for both ends of a connection.

    Each says whose it is (spiffe://engine/NAME), so that a call's proof of another service is
    refused on its connections. A shared one proves no service; their signatures still do.

    Examples: engine pki issue customer ark --host 10.0.0.5 --host db1.bank.example

              engine pki issue host-1 --shared --host 10.0.0.5
    """
    from mesh.pki import CA, Authority, Names

    where = _folder(folder)
    with _explained():
        authority = Authority.open(where)
        for name in names:
            wanted = Names(name=name, hosts=tuple(host), shared=shared)
            issued = authority.issue(wanted, days=days)
            typer.echo(f"{issued.path} is good until {issued.ends:%Y-%m-%d %H:%M} UTC.")
    if terminal():
        name = names[0] if shared else "{service}"
        typer.echo(f"Next: ENGINE_TLS_CERTIFICATE={where}/{name}.pem")
        typer.echo(f"      ENGINE_TLS_KEY={where}/{name}.key ENGINE_TLS_CA={where / CA}")


@app.command()
def renew(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; without any, all that are due.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them, due or not.")] = False,
    folder: Folder = None,
) -> None:
    """Replace certificates and their keys by new ones, with the same names and as long a life.

    One is due in the last third of its life: run this daily. What runs takes new files within
    a second, without a lost call.

    Examples: engine pki renew

              engine pki renew customer
    """
    from mesh.pki import Authority

    with _explained():
        authority = Authority.open(_folder(folder))
        for issued in _chosen(authority, names or [], everything=everything):
            fresh = authority.renew(issued)
            typer.echo(f"{fresh.path} is good until {fresh.ends:%Y-%m-%d %H:%M} UTC.")


@app.command()
def show(*, folder: Folder = None) -> None:
    """List certificates: whose, for which hosts, until when.

    Example: engine pki show
    """
    from mesh.pki import Authority, issued_in

    where = _folder(folder)
    now = datetime.now(UTC)
    with _explained():
        Authority.open(where)
        rows = [
            (
                issued.names.name,
                issued.names.identity,
                " ".join(issued.names.hosts),
                f"{issued.ends:%Y-%m-%d %H:%M}",
                _state(issued, now),
            )
            for issued in issued_in(where)
        ]
    styles = {"due": "yellow", "expired": "red"}
    print_table(("Name", "Identity", "Hosts", "Until (UTC)", "State"), rows, styles=styles)


def _folder(given: Path | None) -> Path:
    return given or load_settings().var / "pki"


def _chosen(authority: Authority, names: list[str], *, everything: bool) -> list[Issued]:
    from mesh.pki import PkiError, issued_in

    found = {issued.names.name: issued for issued in issued_in(authority.folder)}
    if missing := [name for name in names if name not in found]:
        raise PkiError(
            f"there is no certificate of '{missing[0]}': 'engine pki issue {missing[0]}' makes "
            "one, 'engine pki show' lists those that are there"
        )
    if names:
        return [found[name] for name in names]
    now = datetime.now(UTC)
    return [issued for issued in found.values() if everything or issued.is_due(now)]


def _state(issued: Issued, now: datetime) -> str:
    if issued.ends <= now:
        return "expired"
    return "due" if issued.is_due(now) else "good"


@contextmanager
def _explained() -> Iterator[None]:
    """End the program with what cannot be done, and why."""
    from mesh.pki import PkiError

    try:
        yield
    except PkiError as error:
        message, _, step = str(error).partition(": ")
        fail(message, step)
