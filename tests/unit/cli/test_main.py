"""The program's front door: help, settings and clear refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import program

Engine = Callable[..., program.Done]


@pytest.fixture
def engine(var: Path) -> Engine:
    """Runs `engine` with only the given settings, on an empty folder."""

    def run(*arguments: str, **settings: str) -> program.Done:
        return program.engine(*arguments, settings={"ENGINE_VAR": str(var), **settings})

    return run


def test_the_program_itself_starts_and_ends_with_the_code_of_its_command(var: Path) -> None:
    """As a process of its own; the other tests call its entry point."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("engine")), "status"],
        env={**os.environ, "ENGINE_VAR": str(var)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert (done.stdout, "make run" in done.stderr) == ("", True)


def test_help_teaches_without_importing_what_is_heavy() -> None:
    """Help must answer at once, so neither gRPC nor numpy nor a database may be loaded for it."""
    program = """
import sys
from typer.testing import CliRunner
from cli.main import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0 and "engine up" in result.output, result.output
heavy = {"grpc", "google.protobuf", "sqlalchemy", "numpy", "pyarrow", "opentelemetry", "joserfc"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "serve",
        "status",
        "settings",
        "mesh",
        "demo",
        "seq",
        "bank",
        "bench",
        "trace",
        "token",
        "stubs",
        "new",
    ],
)
def test_every_command_explains_itself(engine: Engine, command: str) -> None:
    """`--help` of each says what it does."""
    result = engine(command, "--help")
    assert result.returncode == 0
    assert "Usage: engine" in result.stdout
    assert result.stderr == ""


def test_the_version_is_told(engine: Engine) -> None:
    """For reports of trouble."""
    assert engine("--version").stdout.startswith("engine 0.")


@pytest.mark.parametrize("command", [("up",), ("stubs", "export", "--out", "/proc/none")])
def test_a_folder_that_cannot_be_made_is_told_without_a_stack_trace(
    engine: Engine, command: tuple[str, ...]
) -> None:
    """The operating system's words, and code 1."""
    result = engine(*command, ENGINE_VAR="/proc/none")
    assert result.returncode == 1
    assert result.stderr.startswith("engine: [Errno")
    assert "Traceback" not in result.stderr


def test_a_host_that_is_not_ours_is_named_with_its_setting(engine: Engine) -> None:
    """192.0.2.1 belongs to nobody (RFC 5737)."""
    result = engine("up", ENGINE_HOST="192.0.2.1", ENGINE_ALLOW_PLAINTEXT="1")
    assert result.returncode == 2
    assert "ENGINE_HOST=192.0.2.1 is not an address of this machine" in result.stderr


def test_an_unknown_command_is_refused(engine: Engine) -> None:
    """With code 2, as every wrong call."""
    result = engine("fly")
    assert result.returncode == 2
    assert "No such command 'fly'" in result.stderr


def test_settings_are_shown_as_plain_text_in_a_pipe(engine: Engine) -> None:
    """Tab-separated, and what differs is marked."""
    result = engine("settings", ENGINE_GATEWAY_PORT="0")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[0] == ["Variable", "Value", "", "Meaning"]
    assert ["ENGINE_GATEWAY_PORT", "0", "*"] in [row[:3] for row in rows]


@pytest.mark.parametrize("command", ["up", "status", "settings"])
def test_bad_settings_are_told_without_a_stack_trace(engine: Engine, command: str) -> None:
    """The variable, the value and the bound; code 2."""
    result = engine(command, ENGINE_GATEWAY_PORT="90000", ENGINE_DEMOO="1")
    assert result.returncode == 2
    assert "ENGINE_GATEWAY_PORT='90000': must be between 0 and 65535" in result.stderr
    assert "did you mean ENGINE_DEMO?" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_service_that_does_not_exist_is_named_with_those_that_do(engine: Engine) -> None:
    """`serve` says what there is to choose from."""
    result = engine("serve", "nothing")
    assert result.returncode == 2
    assert "there is no service 'nothing'" in result.stderr
    assert "customer" in result.stderr


@pytest.mark.parametrize(
    "command", [("status",), ("demo",), ("traces",), ("seq", "list"), ("token", "mint")]
)
def test_without_a_platform_commands_say_how_to_start_one(
    engine: Engine, command: tuple[str, ...]
) -> None:
    """No stack trace, but the next step."""
    result = engine(*command, ENGINE_DEMO="1")
    assert result.returncode == 1
    assert "make run" in result.stderr
    assert "Traceback" not in result.stderr


def test_tokens_are_minted_in_the_demo_only(engine: Engine) -> None:
    """Outside the demo the command refuses before it looks for a platform."""
    result = engine("token", "mint")
    assert result.returncode == 1
    assert "in the demo only" in result.stderr
