"""Every centre has the shape that the template has, and a departure from it is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.templates import PARTS, drift, names, plan

ROOT = Path(__file__).parents[2]
CENTERS = sorted(path.parent.name for path in (ROOT / "centers").glob("*/app.py"))

Change = Callable[[str], str]


@pytest.mark.parametrize("center", CENTERS)
def test_a_centre_has_the_house_shape(center: str) -> None:
    """Its parts, what each may import, and what stands beside the package."""
    assert drift(ROOT, center) == []


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A project that holds a new centre alone."""
    for path, text in plan(ROOT, names(ROOT, "zebra", resource="stripe")).new.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_the_template_has_it(made: Path) -> None:
    """A new centre begins without a departure."""
    assert drift(made, "zebra") == []


def after(line: str) -> Change:
    """Adds a line behind the imports of the future."""
    first = "from __future__ import annotations\n"
    return lambda text: text.replace(first, f"{first}\n{line}\n")


def instead(old: str, new: str) -> Change:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("module", "change", "found"),
    [
        ("domain", after("import sqlalchemy as sa"), "imports sqlalchemy"),
        ("domain", after("import asyncio"), "imports asyncio"),
        ("domain", after("from mesh.storage import Store"), "imports mesh.storage"),
        ("domain", after("from centers.zebra import wire"), "imports wire.py"),
        ("domain", after("from centers.zebra.store import StripeStore"), "imports store.py"),
        ("rpc", after("from centers.zebra.store import StripeStore"), "imports store.py"),
        ("rpc", lambda text: f"{text}\n\ndef rule() -> None: ...\n", "function for others"),
        ("rpc", lambda text: f"{text}\n\nclass Rule: ...\n", "class Rule"),
        ("service", after("import sqlalchemy as sa"), "imports sqlalchemy"),
        ("service", after("from centers.zebra.app import build"), "imports app.py"),
        ("store", after("from engine.ark.v1 import ark_pb2_grpc"), "imports engine.stubs"),
        ("wire", after("from centers.zebra import tables"), "imports tables.py"),
        ("errors", instead('"未找到该记录"', '"not found"'), "Chinese"),
        ("errors", instead('        "未找到该记录",\n', ""), "Chinese"),
        ("errors", instead("(Reason)", "(Enum)"), "not one enum"),
        ("app", instead('name="zebra"', 'name="other"'), "BLUEPRINT"),
        ("app", instead("def build", "def make"), "BLUEPRINT"),
        ("tables", lambda text: re.sub('""".*?"""', "", text, flags=re.DOTALL), "docstring"),
    ],
)
def test_a_departure_is_found(made: Path, module: str, change: Change, found: str) -> None:
    """One for each rule; it is told with its file."""
    path = made / "centers" / "zebra" / f"{module}.py"
    path.write_text(change(path.read_text()))
    (told,) = drift(made, "zebra")
    assert told.startswith(("centers/zebra/", "zebra has"))
    assert found in told


@pytest.mark.parametrize("module", ["app", "rpc", "store", "tables", "wire", "domain", "errors"])
def test_a_part_that_is_missing_is_found(made: Path, module: str) -> None:
    """Whatever the others hold."""
    (made / "centers" / "zebra" / f"{module}.py").unlink()
    assert any(line.startswith("zebra has no part") for line in drift(made, "zebra"))


@pytest.mark.parametrize(
    "companion",
    [
        "protos/engine/zebra/v1/zebra.proto",
        "docs/centers/zebra.md",
        "tests/unit/centers/zebra/test_stripes.py",
        "tests/integration/test_zebra_service.py",
        "centers/zebra/migrations/versions/0001_stripes.py",
    ],
)
def test_what_is_missing_beside_the_package_is_found(made: Path, companion: str) -> None:
    """Contract, page, tests, revisions."""
    (made / companion).unlink()
    assert len(drift(made, "zebra")) == 1


def test_a_client_with_a_store_is_found(made: Path) -> None:
    """Who calls another service keeps no rows beside it."""
    text = (
        '"""The Ark."""\nfrom engine.ark.v1 import ark_pb2_grpc\nfrom mesh.storage import Store\n'
    )
    (made / "centers" / "zebra" / "ark.py").write_text(text)
    assert drift(made, "zebra") == [
        "centers/zebra/ark.py belongs to 'client' and imports mesh.storage.Store"
    ]


def test_a_gap_between_revisions_is_found(made: Path) -> None:
    """They are numbered one after the other."""
    versions = made / "centers/zebra/migrations/versions"
    (versions / "0003_more.py").write_text('"""More."""\n')
    assert drift(made, "zebra") == ["zebra: revisions are numbered 0001, 0003"]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("points", '"""Use cases of points."""\n\nfrom mesh.storage import Store\n'),
        ("point_rows", '"""Rows of points."""\n\nimport sqlalchemy as sa\n'),
        ("worth", '"""What a point is worth. Pure rules."""\n\nimport math\n'),
        ("ark", '"""The Ark."""\n\nfrom engine.ark.v1 import ark_pb2_grpc\n'),
        ("point_rpc", '"""Points."""\n\nfrom engine.zebra.v1 import zebra_pb2_grpc\n'),
    ],
)
def test_a_large_centre_has_more_modules_of_a_part(made: Path, module: str, text: str) -> None:
    """Each belongs to its part by name or content; there is no list of exceptions."""
    (made / "centers" / "zebra" / f"{module}.py").write_text(text)
    assert drift(made, "zebra") == []


def test_the_guide_shows_the_parts_as_they_are() -> None:
    """Its table is that of the code."""
    page = (ROOT / "docs" / "howto" / "new-center.md").read_text()
    modules = [", ".join(f"`{one}.py`" for one in part.modules) or "any other" for part in PARTS]
    rows = [f"| {named} | {part.holds} |" for named, part in zip(modules, PARTS, strict=True)]
    assert re.findall(r"^\| (?:`[a-z_*]+\.py`|any other).*$", page, flags=re.MULTILINE) == rows
