"""What `engine seq` says in a pipe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from typer.testing import Result

Engine = Callable[..., Awaitable[Result]]
"""Runs `engine seq …` with these arguments."""


def rows(result: Result) -> list[list[str]]:
    """The cells of a table in a pipe, without its head line."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()[1:]]


def refusal(result: Result, code: int = 1) -> str:
    """What a command says that refuses."""
    assert result.exit_code == code, result.output
    return result.stderr
