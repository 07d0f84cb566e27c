"""The stores that one run of the tests is on: `pytest --store mariadb --bus redis`.

Services that run in a `Mesh` or on the `platform` are on them; tests that open a store
of their own say themselves on which. Tests marked `embedded` are left out then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.servers import MariaDb, Redis
from mesh.settings import Settings
from mesh.storage import Address, address

REDIS_DATABASES: Final = 4_096
"""Each mesh has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The servers that the run is on; None stands for what is embedded."""

    database: MariaDb | None = None
    redis: Redis | None = None
    _folders: dict[Path, int] = field(default_factory=dict)

    def settings(self, folder: Path) -> Mapping[str, Any]:
        """Settings of what runs in a folder: its data are its own, and stay when it comes again."""
        number = self._folders.setdefault(folder.absolute(), len(self._folders))
        chosen: dict[str, Any] = {}
        if self.database:
            chosen |= {
                "database_url": self.database.url,
                "database_prefix": f"t{number}_",
                "database_pool": 2,
            }
        if self.redis:
            chosen |= {"redis_url": f"{self.redis.url}/{number % REDIS_DATABASES}", "bus": "redis"}
        return chosen

    def address(self, folder: Path, service: str) -> Address:
        """The database of a service that runs in a folder."""
        return address(Settings(var=folder, **self.settings(folder)), service)

    def environ(self, folder: Path) -> Mapping[str, str]:
        """The same for a platform in processes of its own."""
        chosen = self.settings(folder)
        return {f"ENGINE_{name.upper()}": str(value) for name, value in chosen.items()}
