"""YAML files that people write, read so that every complaint has its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import yaml

_TAG: Final = "tag:yaml.org,2002:"
MAX_BYTES: Final = 1 << 20


class RuleFileError(ValueError):
    """A file that cannot be used; the text begins with "file:line: "."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a file, and where it stands."""

    path: Path
    node: yaml.Node

    @property
    def where(self) -> str:
        """The file and the line."""
        return f"{self.path}:{self.node.start_mark.line + 1}"

    def error(self, text: str) -> RuleFileError:
        """A complaint about this value."""
        return RuleFileError(f"{self.where}: {text}")

    def members(self, known: frozenset[str]) -> Mapping[str, Node]:
        """The values of a mapping by key.

        Raises:
            RuleFileError: it is none, or has a key that is unknown or there already.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"this must be a mapping with {', '.join(sorted(known))}")
        found: dict[str, Node] = {}
        for key_node, value in self.node.value:
            key = Node(self.path, key_node)
            name = key.text()
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f": did you mean '{near[0]}'?" if near else ""
                raise key.error(f"'{name}' is not read here{hint}")
            if name in found:
                raise key.error(f"'{name}' stands here twice")
            found[name] = Node(self.path, value)
        return found

    def needed(self, members: Mapping[str, Node], name: str) -> Node:
        """A member that must be there.

        Raises:
            RuleFileError: it is not.
        """
        if name not in members:
            raise self.error(f"it has no {name}")
        return members[name]

    def items(self) -> Iterator[Node]:
        """The values of a list.

        Raises:
            RuleFileError: it is none.
        """
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error("this must be a list")
        return (Node(self.path, item) for item in self.node.value)

    def text(self) -> str:
        """Text that is not empty.

        Raises:
            RuleFileError: it is none.
        """
        value = self._scalar("str")
        if not value:
            raise self.error("this must be text; put it in quotes where YAML reads it otherwise")
        return value

    def flag(self) -> bool:
        """True or false.

        Raises:
            RuleFileError: it is neither.
        """
        value = self._scalar("bool")
        if value not in {"true", "false"}:
            raise self.error("this must be true or false")
        return value == "true"

    def count(self) -> int:
        """A whole number from 1 to 1,000,000.

        Raises:
            RuleFileError: it is none.
        """
        value = self._scalar("int")
        if not (
            value.isascii() and value.isdigit() and len(value) < 8 and 1 <= int(value) <= 10**6
        ):
            raise self.error("this must be a whole number from 1 to 1,000,000")
        return int(value)

    def _scalar(self, kind: str) -> str:
        """The value's text when YAML takes it for this kind; else empty."""
        is_one = isinstance(self.node, yaml.ScalarNode) and self.node.tag == _TAG + kind
        return str(self.node.value) if is_one else ""


def documents(path: Path) -> Iterator[Node]:
    """The documents of a YAML file; nothing is made of them but what is asked for.

    Raises:
        RuleFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RuleFileError(f"{path}: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise RuleFileError(f"{path}: it is longer than 1 MiB")
    try:
        found = list(yaml.compose_all(text.decode(), yaml.SafeLoader))
    except UnicodeDecodeError as error:
        raise RuleFileError(f"{path}: byte {error.start} is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        context = f"{error.context}: " if error.context else ""
        raise RuleFileError(f"{path}:{line}: {context}{error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise RuleFileError(f"{path}: {str(error) or 'it is nested too deep'}") from error
    return (Node(path, node) for node in found)
