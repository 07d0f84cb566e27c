"""What the SDK asks of a client's environment."""

from __future__ import annotations

import subprocess
import sys

SERVER_ONLY = (
    "alembic",
    "joserfc",
    "pydantic",
    "protovalidate",
    "sqlalchemy",
    "structlog",
    "uvloop",
)

SCRIPT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import sequencer.sdk

with sequencer.sdk.Sequencer(sequencer.sdk.LocalRangeSource(), create_missing=True) as client:
    print(client.sequence("test.ids").next_id())
"""


def test_the_sdk_works_without_the_servers_libraries() -> None:
    """Everything public is there and gives ids where no server library is installed."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *SERVER_ONLY], capture_output=True, text=True, check=False
    )

    assert done.stdout == "1\n", done.stderr
