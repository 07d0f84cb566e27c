"""The kit's names: each loads what it needs, and no more."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mesh.testing

SERVER_ONLY = ("sqlalchemy", "alembic", "joserfc", "protovalidate", "structlog", "uvloop", "redis")

WITHOUT_SERVER = """
import sys

for name in sys.argv[1:]:
    sys.modules[name] = None

import mesh.testing
from mesh.testing import Link, blocking_fake, calls, failure, fake

print(sorted(name for name in sys.modules if name.startswith(("mesh.storage", "mesh.app"))))
"""


def test_a_fake_needs_nothing_that_a_client_has_not() -> None:
    """The names that a calling team uses are loaded without what a server is made of."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_SERVER, *SERVER_ONLY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


SERVER_ASKED_FOR = """
import sys

sys.modules["mesh.app"] = None
try:
    from mesh.testing import serve
except ImportError as error:
    print(error)
"""


def test_who_has_the_client_alone_is_told_what_needs_the_platform() -> None:
    """The error names both."""
    command = [sys.executable, "-W", "error", "-c", SERVER_ASKED_FOR]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "mesh.testing.serve needs the platform" in done.stdout, done.stderr


def test_names_that_the_kit_has_not_are_no_attributes() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match=r"'mesh\.testing' has no attribute 'server'"):
        _ = mesh.testing.server
    assert sorted(mesh.testing.__all__) == sorted(mesh.testing._HOMES)
