"""The example of docs/howto/faults.md runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "faults.md"


@pytest.mark.real
def test_the_example_of_the_page_passes(tmp_path: Path) -> None:
    """What a reader copies from the page works."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    names["test_what_redis_acknowledged_stays"](tmp_path)
