"""`engine call`: any method of a running service, by what the service says of itself."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli.connect import load_settings

_WHO: Final = "Who calls"
_HOW: Final = "How"


def call(
    method: Annotated[
        str, typer.Argument(help="SERVICE/METHOD; a service alone lists its methods.")
    ] = "",
    request: Annotated[
        str | None,
        typer.Argument(help="JSON, '-' (standard input) or '@FILE'; a client stream: one a line."),
    ] = None,
    *,
    describe: Annotated[
        bool, typer.Option("--describe", help="Show the request as a JSON template, and end.")
    ] = False,
    as_: Annotated[
        str, typer.Option("--as", metavar="USER", rich_help_panel=_WHO, help="A demo user.")
    ] = "",
    token: Annotated[
        str,
        typer.Option(rich_help_panel=_WHO, help="A user's access token, or '@FILE' that has it."),
    ] = "",
    caller: Annotated[
        str,
        typer.Option(
            rich_help_panel=_WHO,
            help="Local identity; 'operator' when there is neither user nor address.",
        ),
    ] = "",
    purpose: Annotated[
        str, typer.Option(rich_help_panel=_WHO, help="What customer data is read for.")
    ] = "",
    address: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            rich_help_panel=_HOW,
            help="Any gRPC server with reflection, in plain text.",
        ),
    ] = "",
    timeout: Annotated[
        float | None,
        typer.Option(min=0.001, rich_help_panel=_HOW, help="Seconds; else 30, for a stream a day."),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            "-m",
            metavar="KEY=VALUE",
            rich_help_panel=_HOW,
            help="Goes along; several times.",
        ),
    ] = None,
    request_id: Annotated[
        str,
        typer.Option(
            rich_help_panel=_HOW, help="Idempotency key; else a new one for what takes effect."
        ),
    ] = "",
    defaults: Annotated[
        bool, typer.Option("--defaults", rich_help_panel=_HOW, help="Show unset fields too.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", rich_help_panel=_HOW, help="Tell metadata, time and way on stderr."
        ),
    ] = False,
) -> None:
    """Call a method of a running service, or show what it serves.

    The contract is asked of the service itself. A method is named in any way
    that means it alone: customer/GetCustomer, CustomerService.GetCustomer,
    engine.customer.v1.CustomerService/GetCustomer, GetCustomer.

    Examples: engine call customer

              engine call customer/GetCustomer --describe

              engine call customer/GetCustomer '{"customer_id": 7}' --as rm001

              engine call GetCustomer @request.json --token @token -v

    Ends with 0; with 1 when nothing can be asked; with 2 when it is written
    wrong; with 64 plus the gRPC status when it fails: 69 for NOT_FOUND.
    """
    from cli.calling import Claim, Order, Shape, carry_out, row_of, servers_at
    from cli.calling.metadata import parse, with_purpose

    claim = Claim(user=as_, token=token, service=caller)
    settings = load_settings() if claim.needs_settings or not address else None
    servers = servers_at(address, settings)
    order = Order(
        name=method,
        given=request,
        describe=describe,
        metadata=with_purpose(purpose, parse(metadata or ())),
        request_id=request_id,
        timeout_s=timeout,
        shape=Shape(defaults=defaults),
        verbose=verbose,
    )
    row = row_of(order, servers)
    if row is not None:
        carry_out(order, row, servers[row.peer], claim.caller(settings))
