"""Documents are run as they are read: the fixture that the tests of documents rely on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

DOCUMENT = """
# Greeting

```bash
export GREETED=world
```

```python
import os

print("hello", os.environ["GREETED"])
```

```shell
exit 1
```
"""


def test_a_block_uses_what_an_earlier_one_exported(
    tmp_path: Path, run_document: Callable[..., str]
) -> None:
    """bash and Python run in the order of the document; other languages do not run."""
    document = tmp_path / "greeting.md"
    document.write_text(DOCUMENT)

    assert run_document(document, os.environ) == "hello world\n"


def test_the_block_that_failed_is_named(tmp_path: Path, run_document: Callable[..., str]) -> None:
    """The test fails at the first wrong block and tells its line."""
    document = tmp_path / "wrong.md"
    document.write_text("# Wrong\n\n```bash\nfalse\n```\n\n```bash\necho never\n```\n")

    with pytest.raises(AssertionError, match="block at line 3") as failure:
        run_document(document, os.environ)

    assert "never" not in str(failure.value)
