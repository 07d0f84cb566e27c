"""`engine token`: access tokens for load tests, in the demo alone."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.connect import blocking_channel, demo_runs, load_settings
from cli.output import fail

app = typer.Typer(no_args_is_help=True, help="Access tokens for load tests (demo only).")

DEMO_PASSWORD = "engine-demo"  # noqa: S105 - known to all, and accepted in the demo alone


@app.callback()
def _token() -> None:
    """Keep `mint` a subcommand though it is the only one."""


@app.command()
def mint(
    user: Annotated[str, typer.Option(help="Demo user to sign on as.")] = "loadtest",
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=1000, help="How many tokens.")
    ] = 1,
) -> None:
    """Print access tokens of a demo user, one a line.

    Example: TOKEN=$(engine token mint --user rm001)
    """
    if not demo_runs(load_settings()):
        fail(
            "tokens are minted in the demo only", "Start it with 'make run', or sign on as a user."
        )
    for access_token in demo_tokens(user, count):
        typer.echo(access_token)


def demo_tokens(user: str, count: int = 1) -> list[str]:
    """Sign a demo user on `count` times and return the access tokens."""
    import grpc

    from engine.identity.v1 import identity_pb2, identity_pb2_grpc

    request = identity_pb2.CreateSessionRequest(username=user, password=DEMO_PASSWORD)
    with blocking_channel("identity") as channel:
        stub = identity_pb2_grpc.IdentityServiceStub(channel)
        try:
            return [stub.CreateSession(request).grant.access_token for _ in range(count)]
        except grpc.RpcError as error:
            from mesh.errors import ErrorView

            view = ErrorView.from_rpc(error)
            fail(f"'{user}' cannot sign on: {view.message}", view.next_step)
