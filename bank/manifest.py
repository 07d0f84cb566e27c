"""The manifest of a bank on disk: what it was made from, and what its files hash to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bank.config import VERSION
from bank.errors import BankError

MANIFEST = "manifest.json"

_AGAIN = "generate the bank again with 'engine bank generate --force'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bank holds. `files` maps each path, relative to the bank, to its SHA-256."""

    version: int
    seed: int
    scale: str
    customers: int
    branches: int
    managers: int
    agents: int
    canaries: int
    as_of: str
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest: equal for equal banks and for those alone."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The manifest as it is stored."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The manifest in `directory`.

        Raises:
            BankError: there is none, it cannot be read, or it is of another version.
        """
        try:
            stored = json.loads((directory / MANIFEST).read_text())
        except FileNotFoundError:
            raise BankError(
                f"{directory}: no bank here ({MANIFEST} is missing); "
                f"make one with 'engine bank generate --out {directory}'"
            ) from None
        except (OSError, ValueError) as error:
            raise BankError(f"{directory / MANIFEST}: cannot be read; {_AGAIN}") from error
        version = stored.get("version") if isinstance(stored, dict) else None
        if version != VERSION:
            raise BankError(
                f"{directory}: bank of version {version}, this program reads {VERSION}; {_AGAIN}"
            )
        try:
            return cls(**stored)
        except TypeError as error:
            raise BankError(f"{directory / MANIFEST}: fields do not fit; {_AGAIN}") from error

    def verify(self, directory: Path) -> None:
        """Compare every file with its hash.

        Raises:
            BankError: a file is missing or was changed.
        """
        for path, expected in self.files.items():
            try:
                actual = file_hash(directory / path)
            except OSError:
                raise BankError(f"{directory / path}: missing or unreadable; {_AGAIN}") from None
            if actual != expected:
                raise BankError(f"{directory / path}: changed since it was made; {_AGAIN}")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
