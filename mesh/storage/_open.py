"""Opens the store of a service, wherever its database is."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from mesh.clock import Clock
from mesh.storage._address import Address, MySQLAddress
from mesh.storage._base import Store
from mesh.storage._options import MySQLOptions, SQLiteOptions
from mesh.storage._sqlite._store import SQLiteStore
from mesh.telemetry import Meters, Tracer


def open_store(  # what a service says of its store; its other bounds are options
    address: Address,
    *,
    tracer: Tracer,
    synchronous: str = "NORMAL",
    meters: Meters | None = None,
    clock: Clock | None = None,
    slow_statement_s: float = 0.2,
    pool: int = 8,
    timeout_s: float = 5.0,
) -> AbstractAsyncContextManager[Store]:
    """The store at an address, to be entered.

    Args:
        address: a file, or a database of a server.
        tracer: gets a span for each statement and commit of a sampled trace.
        synchronous: "FULL" or "NORMAL", as `SQLiteStore` has it; a server decides by itself.
        meters: counts what the store does.
        clock: dates the answers kept for calls with a request id.
        slow_statement_s: seconds from which a statement is logged as slow.
        pool: connections for reads; a file needs none.
        timeout_s: seconds until a connection to a server counts as lost.
    """
    if not isinstance(address, MySQLAddress):
        return SQLiteStore(
            address,
            synchronous=synchronous,
            tracer=tracer,
            meters=meters,
            clock=clock,
            options=SQLiteOptions(slow_statement_s=slow_statement_s),
        )
    # Who embeds the database does not pay for the driver.
    from mesh.storage._mysql._store import MySQLStore  # noqa: PLC0415

    options = MySQLOptions(slow_statement_s=slow_statement_s, pool=pool, timeout_s=timeout_s)
    return MySQLStore(address, tracer=tracer, meters=meters, clock=clock, options=options)
