"""Where a centre departs from the shape."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.templates._shape import (
    CLIENT,
    COMPANIONS,
    DOMAIN,
    ERRORS,
    PARTS,
    PURE,
    RPC,
    STUBS,
    USE_CASE,
    Part,
)

_CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")
_REASON_FIELDS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module of a centre, read and not run."""

    name: str
    tree: ast.Module
    imports: frozenset[str]

    @property
    def docstring(self) -> str:
        """What it says of itself."""
        return ast.get_docstring(self.tree) or ""

    @property
    def part(self) -> Part:
        """The part that it belongs to: by its name, else by what is in it."""
        named = next((part for part in PARTS if part.claims(self.name)), None)
        if named is not None:
            return named
        if PURE.search(self.docstring.partition("\n")[0]):
            return DOMAIN
        return CLIENT if STUBS & self.imports else USE_CASE


def drift(root: Path, center: str) -> list[str]:
    """What a centre of the project at `root` lacks, or has where it does not belong."""
    folder = root / "centers" / center
    modules = {path.stem: _read(path) for path in sorted(folder.glob("*.py"))}
    found = [f"{center} has no {one}" for one in _missing(root, center, modules)]
    for module in modules.values():
        found += [f"centers/{center}/{module.name}.py {one}" for one in _faults(module, modules)]
    return found + _gaps(folder)


def _read(path: Path) -> Module:
    tree = ast.parse(path.read_text())
    return Module(name=path.stem, tree=tree, imports=frozenset(_imported(tree)))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Full names of what is imported; every generated stub is `engine.stubs`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield "engine.stubs" if "_pb2_grpc" in name else name


def _missing(root: Path, center: str, modules: dict[str, Module]) -> Iterator[str]:
    there = {module.part.name for module in modules.values()}
    yield from (f"part '{part.name}'" for part in PARTS if part.needed and part.name not in there)
    for pattern in COMPANIONS:
        if not any(root.glob(pattern.format(center=center))):
            yield pattern.format(center=center)
    if "app" in modules and not _has_blueprint(modules["app"].tree, center):
        yield f"`build`, and no BLUEPRINT of the name '{center}', in its app.py"


def _faults(module: Module, modules: dict[str, Module]) -> Iterator[str]:
    part = module.part
    if not module.docstring:
        yield "has no docstring"
    for name in sorted(module.imports):
        if any(name == one or name.startswith(f"{one}.") for one in part.never):
            yield f"belongs to '{part.name}' and imports {name}"
        other = modules.get(_own(name))
        if other is not None and other.part.name in part.without:
            yield f"belongs to '{part.name}' and imports {other.name}.py ('{other.part.name}')"
    if part is RPC:
        yield from _beside_servicers(module.tree)
    if part is ERRORS:
        yield from _poor_reasons(module.tree)


def _own(name: str) -> str:
    """The module of a centre that a name is imported from; centres import their own alone."""
    words = name.split(".")
    return words[2] if words[0] == "centers" and len(words) > 2 else ""


def _beside_servicers(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.endswith("Rpc"):
            yield f"has the class {node.name}, which is no servicer"
        public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_"
        if public:
            yield "has a function for others; it belongs to a use case"


def _poor_reasons(tree: ast.Module) -> Iterator[str]:
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    if [base.id for node in classes for base in node.bases if isinstance(base, ast.Name)] != [
        "Reason"
    ]:
        yield "is not one enum of reasons"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ReasonText":
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if len(node.args) != _REASON_FIELDS or not _CHINESE.search(str(texts[1:2])):
                yield f"line {node.lineno}: a reason has a code, English, Chinese and a next step"


def _has_blueprint(tree: ast.Module, center: str) -> bool:
    built = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    named = {
        keyword.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and "BLUEPRINT" in ast.unparse(node)
        for keyword in getattr(node.value, "keywords", ())
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    return "build" in built and named == {center}


def _gaps(folder: Path) -> list[str]:
    """Revisions are numbered from 0001, without a gap."""
    found = sorted(path.name[:4] for path in folder.glob("migrations/versions/*.py"))
    wanted = [f"{number:04}" for number in range(1, len(found) + 1)]
    return [] if found == wanted else [f"{folder.name}: revisions are numbered {', '.join(found)}"]
