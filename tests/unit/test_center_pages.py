"""Each centre's page says what its contract, its reasons and its tables say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mesh import contract
from mesh.contract import Method

ROOT = Path(__file__).parents[2]
CENTERS = sorted(path.parent.name for path in (ROOT / "centers").glob("*/app.py"))


def methods(center: str) -> Iterator[str]:
    """The rows of the table of methods."""
    file = import_module(f"engine.{center}.v1.{center}_pb2").DESCRIPTOR
    for service in file.services_by_name.values():
        for descriptor in service.methods:
            method = contract.method(descriptor)
            yield f"| `{service.name}.{method.name}` | {_rest(method)} | {_right(method)} |"


def _rest(method: Method) -> str:
    verb = method.http.WhichOneof("pattern") if method.http else None
    return f"`{verb.upper()} {getattr(method.http, verb)}`" if verb else ""


def _right(method: Method) -> str:
    if method.policy.anonymous:
        return "none: anybody may"
    return f"`{method.policy.permission}`{', services alone' if method.policy.internal else ''}"


def refusals(center: str) -> Iterator[str]:
    """The rows of the table of reasons."""
    module = import_module(f"centers.{center}.errors")
    (kind,) = (value for name, value in vars(module).items() if re.fullmatch(r"\w+Reason", name))
    for reason in kind:
        yield f"| `{reason.name}` | {reason.text.next_step} |"


def events(center: str) -> Iterator[str]:
    """The rows of the table of events, as the contract's comments tell of them."""
    source = (ROOT / f"protos/engine/{center}/v1/{center}.proto").read_text()
    told = re.findall(r'Topic "\w+", key: ([^.]*)\.[^\n]*\nmessage (\w+)', source)
    for key, name in told:
        yield f"| `{name}` | {key} |"


def tables(center: str) -> set[str]:
    module = import_module(f"centers.{center}.tables")
    metadata = getattr(module, "metadata", None) or module.METADATA
    return set(metadata.tables)


def page(center: str) -> str:
    return (ROOT / "docs" / "centers" / f"{center}.md").read_text()


def section(text: str, title: str) -> list[str]:
    """The rows of the table under a heading, without its head."""
    _, _, rest = text.partition(f"\n## {title}\n")
    rows = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return rows[1:]


@pytest.mark.parametrize("center", CENTERS)
def test_a_page_names_every_method_refusal_and_event(center: str) -> None:
    """With path, permission, next step and key; and none that there is not."""
    text = page(center)
    assert section(text, "Methods") == list(methods(center))
    assert section(text, "Refusals") == list(refusals(center))
    assert section(text, "Events") == list(events(center))


@pytest.mark.parametrize("center", CENTERS)
def test_a_page_names_every_table(center: str) -> None:
    """So that whoever looks for data knows where they lie."""
    _, _, data = page(center).partition("\n## Data\n")
    assert set(re.findall(r"`(\w+)`", data)) >= tables(center)


def test_there_is_no_page_of_a_centre_that_is_gone() -> None:
    """One page for each centre."""
    assert sorted(path.stem for path in (ROOT / "docs" / "centers").glob("*.md")) == CENTERS
