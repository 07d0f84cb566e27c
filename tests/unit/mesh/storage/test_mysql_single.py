"""What a statement that commits by itself is told, for whatever its connection meets."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from asyncmy import errors

from mesh.storage import (
    IntegrityViolation,
    MySQLOptions,
    OutcomeUnknown,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
)
from mesh.storage._mysql._connection import Means
from mesh.storage._mysql._server import Dialect
from mesh.storage._mysql._single import SingleConnection
from mesh.storage._slow import SlowStatements
from mesh.storage._statements import Statements
from mesh.telemetry import Meters, NullTracer

CHANGE = sa.text("UPDATE item SET code = 1")


class Raw:
    """The driver's connection, and its cursor: it meets one error."""

    connected = True
    rowcount = 0

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._stream_broken = False
        self.sent = 0

    def cursor(self) -> Raw:
        return self

    async def execute(self, *_: Any) -> int:
        self.sent += 1
        raise self._error

    def close(self) -> None:
        self.connected = False


def connection(raw: Raw) -> SingleConnection:
    means = Means(
        statements=Statements(Dialect()),
        tracer=NullTracer(),
        slow=SlowStatements(1.0, Meters()),
        options=MySQLOptions(),
    )
    return SingleConnection(raw, means)


@pytest.mark.parametrize(
    ("error", "told", "stays"),
    [
        (errors.IntegrityError(1062, "Duplicate entry"), IntegrityViolation, True),
        (errors.OperationalError(1213, "Deadlock"), StoreUnavailable, True),
        (errors.OperationalError(1205, "Lock wait"), StoreUnavailable, True),
        (errors.OperationalError(1020, "Record has changed"), StoreUnavailable, True),
        (errors.OperationalError(1969, "max_statement_time"), StatementTooSlow, True),
        (errors.ProgrammingError(1064, "Syntax"), StorageError, True),
        (errors.OperationalError(1180, "Got error during COMMIT"), OutcomeUnknown, True),
        (errors.OperationalError(8501, "result undetermined"), OutcomeUnknown, True),
        (errors.OperationalError(2013, "Lost connection"), OutcomeUnknown, False),
        (errors.OperationalError(1053, "Server shutdown"), OutcomeUnknown, False),
        (ConnectionResetError(), OutcomeUnknown, False),
    ],
)
async def test_only_what_the_server_denies_was_surely_not_kept(
    error: Exception, told: type[StorageError], stays: bool
) -> None:
    """A connection that broke, or a commit that failed, leaves it open."""
    single = connection(Raw(error))
    with pytest.raises(StorageError) as caught:
        await single.execute(CHANGE, None)
    assert type(caught.value) is told
    assert single.is_open is stays


async def test_nothing_is_sent_where_the_server_hung_up() -> None:
    """So nothing was kept, and another connection may be tried."""
    raw = Raw(AssertionError("sent"))
    single = connection(raw)
    raw._stream_broken = True
    with pytest.raises(StoreUnavailable) as caught:
        await single.execute(CHANGE, None)
    assert (type(caught.value), raw.sent) == (StoreUnavailable, 0)
