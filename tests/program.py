"""The program `engine`, run within a test's process, which has imported everything.

For commands that come to their end by themselves. What they start lives on in this process:
whoever serves, forks or is to be killed is started as a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest.mock import patch

from cli.main import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


def engine(*arguments: str, settings: Mapping[str, str]) -> Done:
    """Run a command to its end, in an environment that has no other settings than these."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
    code, stdout, stderr = 0, StringIO(), StringIO()
    with (
        patch.dict(os.environ, {**others, **settings}, clear=True),
        patch.object(sys, "argv", ["engine", *arguments]),
        patch.object(sys.modules["__main__"], "__package__", None),  # its name in what it says
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Done(returncode=code, stdout=stdout.getvalue(), stderr=stderr.getvalue())
