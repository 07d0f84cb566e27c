"""`engine pki`: what it makes, what it refuses, what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from mesh.pki import CA, CA_KEY
from mesh.tls import Certificate


class Shell:
    """Runs `engine pki` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["pki", *words, "--folder", str(self.folder)])

    def ok(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 1
        assert not isinstance(result.exception, Exception)
        return result.output

    def load(self, name: str) -> str:
        paths = (self.folder / file for file in (f"{name}.pem", f"{name}.key", CA))
        return Certificate(*map(str, paths)).load().service


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "pki")


def test_certificates_are_made_in_two_steps(shell: Shell) -> None:
    """An authority, then any number of services at once; they are fit for use as they are."""
    assert "is believed until" in shell.ok("init")
    shell.ok("issue", "customer", "ark", "--host", "127.0.0.1", "--host", "localhost")
    assert (shell.load("customer"), shell.load("ark")) == ("customer", "ark")
    shell.ok("issue", "host-1", "--shared", "--host", "127.0.0.1")
    assert shell.load("host-1") == ""


def test_what_is_there_is_listed(shell: Shell) -> None:
    """Whose, where, and in which state."""
    shell.ok("init")
    shell.ok("issue", "customer", "--host", "127.0.0.1")
    lines = shell.ok("show").splitlines()
    name, identity, hosts, _, state = lines[1].split("\t")
    assert (name, identity, hosts, state) == (
        "customer",
        "spiffe://engine/customer",
        "127.0.0.1",
        "good",
    )


def test_only_what_is_due_is_renewed_unless_it_is_named(shell: Shell) -> None:
    """So that it can run every day."""
    shell.ok("init")
    shell.ok("issue", "customer", "ark", "--host", "127.0.0.1")
    assert shell.ok("renew") == ""
    assert "customer.pem" in shell.ok("renew", "customer")
    assert len(shell.ok("renew", "--all").splitlines()) == 2


def test_an_authority_is_not_overwritten(shell: Shell) -> None:
    """Its key signs what hosts believe."""
    shell.ok("init")
    key = (shell.folder / CA_KEY).read_bytes()
    assert "is there already" in shell.refused("init")
    assert (shell.folder / CA_KEY).read_bytes() == key


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (("issue", "customer", "--host", "127.0.0.1"), "engine pki init"),
        (("renew",), "engine pki init"),
        (("show",), "engine pki init"),
    ],
    ids=str,
)
def test_without_an_authority_it_says_how_to_make_one(
    shell: Shell, words: tuple[str, ...], step: str
) -> None:
    """Not with a trace of Python."""
    assert step in shell.refused(*words)


def test_a_name_that_is_not_there_cannot_be_renewed(shell: Shell) -> None:
    """It says what would make it."""
    shell.ok("init")
    assert "engine pki issue customer" in shell.refused("renew", "customer")


@pytest.mark.parametrize("command", ["init", "issue", "renew", "show"])
def test_each_command_teaches_by_an_example(command: str) -> None:
    """In its help."""
    result = CliRunner().invoke(app, ["pki", command, "--help"])
    assert f"engine pki {command}" in result.output
