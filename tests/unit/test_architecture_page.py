"""The architecture page tells the truth about packages."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP = (
    "cli",
    "loadtests",
    "bank",
    "simulators",
    "gateway",
    "centers",
    "sequencer",
    "observability",
    "mesh",
)
NOT_NAMED = re.compile(r"migrations|_assets|_protos")


def packages() -> set[str]:
    """Every package of ours that holds Python modules."""
    found = set()
    for top in TOP:
        for module in (ROOT / top).rglob("*.py"):
            name = ".".join(module.parent.relative_to(ROOT).parts)
            if not NOT_NAMED.search(name):
                found.add(name)
    return found | {"centers"}


def test_the_page_names_every_package_once_and_none_that_does_not_exist() -> None:
    """The table of the module map against the folders."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"^\| `([a-z_.]+)` \|", page, flags=re.MULTILINE)
    assert sorted(named) == sorted(packages())


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    """Relative links in Markdown name files that exist."""
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("loadtests/*.md")]:
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        missing = [target for target in targets if not (page.parent / target).exists()]
        broken += [f"{page.relative_to(ROOT)}: {target}" for target in missing]
    assert not broken


def test_every_test_that_the_documentation_names_is_there() -> None:
    """A link whose text is the name of a test leads to the file that has it."""
    missing = []
    for page in ROOT.glob("docs/**/*.md"):
        named = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", page.read_text())
        for test, target in named:
            if not re.search(rf"def {test}\(", (page.parent / target).read_text()):
                missing.append(f"{page.relative_to(ROOT)}: {test}")
    assert not missing


def test_every_dependency_is_justified() -> None:
    """Each requirement of pyproject.toml stands in docs/dependencies.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    required = [*project["dependencies"], *extras]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    missing = {re.split(r"[<>=[]", requirement)[0] for requirement in required} - set(
        re.findall(r"[a-z0-9-]+", page)
    )
    assert not missing
