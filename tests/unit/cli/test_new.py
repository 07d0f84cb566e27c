"""`engine new center`: what it refuses, and that it writes everything or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import compose
from cli.names import LOADER, OPERATOR
from cli.templates import EditError, NameRefusedError, Plan, names, plan, write
from cli.templates._names import MAX_LENGTH, MAX_TITLE, RESERVED

ENGINE = Path(sys.executable).with_name("engine")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What of the project the command looks at."""
    root = tmp_path / "project"
    for folder in ("protos", "centers/identity", "docs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def engine(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENGINE, "new", "center", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tree(root: Path) -> dict[str, bytes]:
    """Every file and folder with what is in it."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b""
        for path in root.rglob("*")
    }


def work(root: Path, center: str = "zebra", resource: str = "stripe") -> Plan:
    return plan(root, names(root, center, resource=resource, title="斑马中心"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Zebra", "small letters"),
        ("zebra2", "small letters"),
        ("two_words", "small letters"),
        ("../up", "small letters"),
        ("x", "small letters"),
        ("x" * (MAX_LENGTH + 1), "small letters"),
        ("class", "word of Python"),
        ("match", "word of Python"),
        ("list", "word of Python"),
        ("queue", "module of Python"),
        ("bus", "service of the platform"),
        ("operator", "Python"),
        ("identity", "centers/identity exists"),
        ("expr", "protos/engine/expr exists"),
        ("docs", "docs exists"),
        ("task", r"/v1/tasks is a path of protos/engine/action/v1/action.proto"),
        ("message", "something else"),
        ("title", "something else"),
    ],
)
def test_a_name_that_means_something_else_is_refused(project: Path, name: str, why: str) -> None:
    """Each with the reason."""
    with pytest.raises(NameRefusedError, match=why) as refused:
        names(project, name)
    assert refused.value.next_step


def test_what_it_keeps_is_refused_for_the_same_reasons(project: Path) -> None:
    """And its Chinese name must be short, and not end the string that it stands in."""
    for resource in ("class", "customer", "draft", "Card"):
        with pytest.raises(NameRefusedError):
            names(project, "zebra", resource=resource)
    for title in ('"""', "斑" * (MAX_TITLE + 1)):
        with pytest.raises(NameRefusedError, match="title"):
            names(project, "zebra", title=title)


def test_no_service_of_the_platform_is_a_free_name(project: Path) -> None:
    """Whatever serves or calls under a name keeps it."""
    for name in (*compose.blueprints(demo=True), OPERATOR, LOADER):
        with pytest.raises(NameRefusedError):
            names(project, name)
    assert {OPERATOR, LOADER} <= RESERVED


@pytest.mark.parametrize(
    ("one", "many"),
    [("stripe", "stripes"), ("policy", "policies"), ("survey", "surveys"), ("box", "boxes")],
)
def test_many_are_called_as_in_english(project: Path, one: str, many: str) -> None:
    """They name the path of the collection."""
    assert names(project, "zebra", resource=one).resources == many


def test_words_of_the_centre_stand_in_every_place(project: Path) -> None:
    """None of the template's is left, in no path and no text."""
    made = work(project)
    for text in (*made.new, *made.new.values()):
        assert "sample" not in text.lower()
        assert "specimen" not in text.lower()
        assert "样例" not in text
    assert '"""The zebra centre 斑马中心: stripes' in made.new["centers/zebra/__init__.py"]


def test_words_are_replaced_once(project: Path) -> None:
    """A centre may be called as the template is."""
    made = plan(project, names(project, "specimen", resource="sample"))
    assert "class Samples:" in made.new["centers/specimen/service.py"]


def test_a_role_gets_the_permissions_and_the_map_the_package(project: Path) -> None:
    """One line each is added; nothing else changes."""
    changed = work(project).changed
    for path, lines in (
        ("centers/identity/roles.py", ['"zebra.read",', '"zebra.write",']),
        ("docs/architecture.md", ["| `centers.zebra` | 斑马中心: stripes"]),
    ):
        before = (project / path).read_text().splitlines()
        added = [line.strip() for line in changed[path].splitlines() if line not in before]
        assert len(added) == len(lines)
        assert all(line.startswith(start) for line, start in zip(added, lines, strict=True))


def test_a_file_in_another_form_is_left_alone(project: Path) -> None:
    """Nothing is guessed: the file is named."""
    (project / "centers/identity/roles.py").write_text("ROLES = {}\n")
    with pytest.raises(EditError, match=r"centers/identity/roles\.py"):
        work(project)


@pytest.mark.parametrize("index", [0, 7, -1])
def test_a_file_that_appears_meanwhile_stops_all_of_it(project: Path, index: int) -> None:
    """What was written before it is removed again, folders too; it stays as it is."""
    made = work(project)
    path = project / [*made.new][index]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    before = tree(project)
    with pytest.raises(FileExistsError):
        write(project, made)
    assert tree(project) == before


def test_a_change_that_fails_takes_back_all_of_it(project: Path) -> None:
    """The last file cannot be replaced: neither new files nor changes before it stay."""
    made = work(project)
    gone = project / [*made.changed][-1]
    gone.unlink()
    before = tree(project)
    with pytest.raises(FileNotFoundError):
        write(project, made)
    assert tree(project) == before


def test_it_is_written_with_the_next_step(project: Path) -> None:
    """From any folder of the checkout; the same again is refused."""
    done = engine(project / "docs", "zebra", "--resource", "stripe", "--title", "斑马中心")
    assert done.returncode == 0, done.stderr
    assert "make generate lint test" in done.stdout
    made = tree(project)
    assert made["protos/engine/zebra/v1/zebra.proto"].startswith(b'syntax = "proto3";')
    again = engine(project, "zebra", "--resource", "stripe")
    assert again.returncode == 2
    assert "centers/zebra exists" in again.stderr
    assert tree(project) == made


def test_without_ruff_it_is_written_as_it_stands(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told that imports and lines may be untidy; `make fix` comes first then."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    made = work(project)
    assert write(project, made) is False
    assert all((project / path).read_text() == text for path, text in made.new.items())


def test_dry_run_writes_nothing(project: Path) -> None:
    """It lists what would be written."""
    before = tree(project)
    done = engine(project, "zebra", "--resource", "stripe", "--dry-run")
    assert "centers/zebra/app.py\tnew" in done.stdout
    assert "docs/architecture.md\tchanged" in done.stdout
    assert "make" not in done.stdout
    assert tree(project) == before


def test_outside_a_checkout_it_says_where_to_go(tmp_path: Path) -> None:
    """With code 2, as every wrong call."""
    done = engine(tmp_path, "zebra")
    assert done.returncode == 2
    assert "is in no checkout of Engine" in done.stderr
