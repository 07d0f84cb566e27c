"""What commands of `engine seq` are given, before they call anybody."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.seq import app
from cli.seq.shown import when

IMPORT = ("import", "a.b", "--from", "sqlite:///a", "--table", "t", "--column", "c")
INT64 = f"from {-(2**63)} to {2**63 - 1}"
POSITIVE = f"from 1 to {2**63 - 1}"
SNOWFLAKE = ("create", "a.b", "--kind", "snowflake")


def refused(folder: Path, *arguments: object) -> str:
    """What a command line is refused with, without the frame around it."""
    environ = {"ENGINE_VAR": str(folder)}
    result = CliRunner().invoke(app, [str(one) for one in arguments], env=environ)
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "a.b", "--start", 2**63), INT64),
        (("create", "a.b", "--min", -(2**63) - 1), INT64),
        (("create", "a.b", "--max", 2**63), INT64),
        (("create", "a.b", "--max", "many"), INT64),
        (("create", "a.b", "--increment", 10**9 + 1), "from -1000000000 to 1000000000"),
        (("create", "a.b", "--increment", 0), "the same id for ever"),
        (("create", "a.b", "--caller", f"mesh:a={2**63}"), f"from 0 to {2**63 - 1}"),
        (("create", "a.b", "--caller", "mesh:a=" + "9" * 5_000), f"from 0 to {2**63 - 1}"),
        (("callers", "a.b", "--add", f"mesh:a={2**63}"), f"from 0 to {2**63 - 1}"),
        ((*SNOWFLAKE, "--layout", f"41:10:{2**31}"), f"from 0 to {2**31 - 1}"),
        (("inspect", "a.b", 2**63), INT64),
        (("inspect", "a.b", -(2**63) - 1), INT64),
        (("audit", "a.b", "--id", 2**63), INT64),
        (("fence", "a.b", "--at-least", 2**63, "--yes"), INT64),
        (("confirm", "a.b", 2**63, 1), POSITIVE),
        (("confirm", "a.b", 1, 0), POSITIVE),
        (("confirm", "a.b", 1, 1, 2**63), INT64),
        (("release", "a.b", 1, 2**63), POSITIVE),
        (("void", "a.b", 5, 2**63, "--reason", "torn", "--yes"), INT64),
        ((*IMPORT, "--start", 2**63), INT64),
    ],
)
def test_a_number_beyond_its_range_is_refused_with_that(
    tmp_path: Path, arguments: tuple[object, ...], said: str
) -> None:
    """Wherever it stands, as a wrong command line, before a call; no increment is 0."""
    assert said in refused(tmp_path, *arguments)


@pytest.mark.parametrize(
    "text", ["soon", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "99999999999d"]
)
def test_a_time_that_no_calendar_has_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when it is UTC alone that has no such year."""
    with pytest.raises(typer.Exit) as ended:
        when(text, datetime(2026, 11, 26, tzinfo=UTC))
    assert ended.value.exit_code == 2
    assert f"'{text}' is no time" in capsys.readouterr().err
