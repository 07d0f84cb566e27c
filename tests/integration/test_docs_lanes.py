"""What docs/from-grpc-aio.md shows works as it stands there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "from-grpc-aio.md"


def test_a_service_that_moved_answers(run_document: Callable[..., str]) -> None:
    """Server and channel of the example, in the environment of a client."""
    assert run_document(DOCUMENT, os.environ) == "b'hello, world'\n"
