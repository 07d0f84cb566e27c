"""What a new centre is called, and what it cannot be called."""

from __future__ import annotations

import builtins
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.names import LOADER, OPERATOR
from cli.templates._source import TEMPLATES, sources

MAX_LENGTH: Final = 16
MAX_TITLE: Final = 12
"""Longest names and Chinese name: lines of the templates keep their 100 characters with them."""

RESERVED: Final = frozenset(
    {
        *("gateway", "registry", "mesh", "bus", "ums", "sequencer", "engine"),
        *("sms", "calls", "simulator", OPERATOR, LOADER),
    }
)
"""Services and callers that no folder of the project is named after."""

_WORD: Final = re.compile(rf"[a-z]{{2,{MAX_LENGTH}}}")
_TITLE: Final = re.compile(rf'[^"\\|`\n]{{0,{MAX_TITLE}}}')


class NameRefusedError(Exception):
    """A name that a centre cannot have, and what to do.

    Args:
        what: why not.
        next_step: what to do instead.
    """

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.next_step = next_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The words of a new centre: its own, and that of what it keeps.

    `title` is its Chinese name, or empty.
    """

    center: str
    resource: str
    title: str

    @property
    def resources(self) -> str:
        """The plural of `resource`, as English has it in most cases."""
        if re.search(r"(s|x|z|ch|sh)$", self.resource):
            return f"{self.resource}es"
        if re.search(r"[^aeiou]y$", self.resource):
            return f"{self.resource[:-1]}ies"
        return f"{self.resource}s"

    def rendered(self, text: str) -> str:
        """A template, or the path of one, in the words of this centre."""
        words = {
            " 样例中心": f" {self.title}" if self.title else "",
            "specimens": self.resources,
            "specimen": self.resource,
            "sample": self.center,
        }
        forms = {
            form(word): form(ours)
            for word, ours in words.items()
            for form in (str, str.capitalize, str.upper)
        }
        return re.sub("|".join(forms), lambda found: forms[found[0]], text)


def names(root: Path, center: str, *, resource: str = "", title: str = "") -> Names:
    """The words of a centre that can be made in the project at `root`.

    Raises:
        NameRefusedError: it cannot, with what to do.
    """
    found = Names(center=center, resource=resource or center, title=title)
    _check_center(root, center)
    _check_resource(root, found)
    if not _TITLE.fullmatch(title):
        raise NameRefusedError(
            f"'{title}' is not a title",
            f'Give at most {MAX_TITLE} characters, without quotes, "|" and "`".',
        )
    return found


def _check_center(root: Path, name: str) -> None:
    _check_word(name, "the name of a centre", "Choose one word, as 'voucher' or 'campaign'.")
    if name in sys.stdlib_module_names:
        raise NameRefusedError(f"'{name}' is a module of Python", "Choose another name.")
    if name in RESERVED:
        raise NameRefusedError(f"'{name}' is a service of the platform", "Choose another name.")
    for place in (f"centers/{name}", f"protos/engine/{name}", f"simulators/{name}", name):
        if (root / place).exists():
            raise NameRefusedError(
                f"{place} exists", "Choose another name; nothing is overwritten."
            )


def _check_resource(root: Path, found: Names) -> None:
    step = "Say with --resource what the centre keeps, as '--resource card'."
    _check_word(found.resource, "a word for what the centre keeps", step)
    ours = {found.resource, found.resources}
    taken = {word for word in ours if {word, word.capitalize(), word.upper()} & _identifiers()}
    if taken:
        raise NameRefusedError(
            f"'{taken.pop()}' means something else in the code of a centre", step
        )
    path = re.compile(rf'"/v1/{found.resources}["/:]')
    for contract in sorted((root / "protos").rglob("*.proto")):
        if path.search(contract.read_text()):
            where = contract.relative_to(root)
            raise NameRefusedError(f"/v1/{found.resources} is a path of {where}", step)


def _check_word(name: str, what: str, step: str) -> None:
    if not _WORD.fullmatch(name):
        raise NameRefusedError(f"'{name}' is not {what}: 2 to {MAX_LENGTH} small letters", step)
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise NameRefusedError(f"'{name}' is a word of Python", step)


def _identifiers() -> frozenset[str]:
    """Every name in the templates' code: what they keep cannot be called so."""
    return frozenset(
        name
        for path in sources()
        if path.name.endswith(".py.tmpl")
        for name in _names_in((TEMPLATES / path).read_text())
        if not re.search("sample|specimen", name, re.IGNORECASE)
    )


def _names_in(code: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME:
            yield token.string
