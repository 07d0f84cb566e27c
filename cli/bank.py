"""`engine bank`: make, look at and load a synthetic bank."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import blocking_channel, load_settings
from cli.names import LOADER
from cli.output import fail, print_table
from cli.progress import progress_bar

if TYPE_CHECKING:
    from bank import Bank, Plan

app = typer.Typer(no_args_is_help=True, help="The synthetic bank: make it, look at it, load it.")

_PERCENTILES = (10, 50, 90, 95, 99, 99.9, 100)

Folder = Annotated[Path, typer.Argument(help="Folder of the bank.", metavar="DIR")]


@app.command()
def generate(
    *,
    out: Annotated[Path, typer.Option(help="Folder to make; new or empty.")],
    scale: Annotated[
        str, typer.Option(help="S (10,000), M (1,000,000), L (12,000,000) or a number.")
    ] = "S",
    seed: Annotated[
        int | None, typer.Option(help="Equal seeds give equal banks; ENGINE_SEED by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bank that is there.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Also compare the data's shape with the plan.")
    ] = False,
) -> None:
    """Make a bank: branches, staff, customers and the truth about them.

    Example: engine bank generate --scale M --out var/bank-m --check
    """
    from bank import BankError, Plan, parse_scale
    from bank import generate as make

    began = time.monotonic()
    try:
        chosen = load_settings().seed if seed is None else seed
        plan = Plan(scale=parse_scale(scale), seed=chosen)
        with progress_bar("Generating") as progress:
            manifest = make(plan, out, progress=progress, force=force)
    except BankError as error:
        fail(str(error))
    took_s = time.monotonic() - began
    typer.echo(f"{manifest.customers:,} customers in {out}, seed {chosen}, {took_s:.1f} s")
    if check:
        _check(_open(out), plan)


@app.command()
def describe(directory: Folder) -> None:
    """Show what a bank holds.

    Example: engine bank describe var/bank-m
    """
    import numpy as np

    from bank import TIERS

    bank = _open(directory)
    manifest = bank.manifest
    names = ("customers", "branches", "managers", "agents", "canaries")
    rows = [(name, f"{getattr(manifest, name):,}") for name in names]
    plan = [("scale", manifest.scale), ("seed", str(manifest.seed)), ("as of", manifest.as_of)]
    print_table(("What", "Value"), [*rows, *plan])
    tiers = np.bincount(bank.column("tier"), minlength=len(TIERS) + 1)[1:]
    shares = [f"{count / manifest.customers:.3%}" for count in tiers]
    counts = [f"{count:,}" for count in tiers]
    print_table(("Tier", "Customers", "Share"), zip(TIERS, counts, shares, strict=True))
    yuan = bank.column("aum_fen") / 100
    found = np.percentile(yuan, _PERCENTILES)
    amounts = [(f"{at:g} %", f"{y:,.2f}") for at, y in zip(_PERCENTILES, found, strict=True)]
    print_table(("AUM percentile", "Yuan"), [*amounts, ("mean", f"{yuan.mean():,.2f}")])


@app.command()
def load(directory: Folder) -> None:
    """Load a bank into the running platform. Run it again at will: it ends the same.

    Example: engine bank load var/bank-m
    """
    import grpc

    from bank import BankError
    from cli.load import LoadError, load_bank
    from engine.ark.v1.ark_pb2_grpc import ArkServiceStub
    from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
    from mesh.errors import ErrorView

    _open(directory)
    began = time.monotonic()
    try:
        with (
            blocking_channel("ark", caller=LOADER) as ark,
            blocking_channel("customer", caller=LOADER) as customer,
            progress_bar("Loading") as progress,
        ):
            stubs = ArkServiceStub(ark), CustomerServiceStub(customer)
            result = load_bank(directory, *stubs, progress)
    except (BankError, LoadError) as error:
        fail(str(error))
    except grpc.RpcError as error:
        view = ErrorView.from_rpc(error)
        fail(
            f"the platform refused the bank: {view.message}",
            view.next_step or "Run the same command again: what is loaded stays.",
        )
    if result.skipped:
        typer.echo(f"{result.customers:,} customers were loaded before; nothing to do")
    else:
        took_s = time.monotonic() - began
        typer.echo(f"{result.customers:,} customers loaded in {took_s:.1f} s")


def _open(directory: Path) -> Bank:
    from bank import BankError, open_bank

    try:
        return open_bank(directory)
    except BankError as error:
        fail(str(error))


def _check(bank: Bank, plan: Plan) -> None:
    from bank import check_shape

    findings = check_shape(bank.column("aum_fen"), plan)
    for finding in findings:
        typer.echo(str(finding))
    off = [finding.name for finding in findings if not finding.holds]
    if off:
        fail(f"the shape is off: {', '.join(off)}")
