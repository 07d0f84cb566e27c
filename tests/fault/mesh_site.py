"""Where a round of the mesh is played: what its processes must know to find one another."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mesh import log
from mesh.pki import CA, Authority, Names
from mesh.registry.addresses import NAME as REGISTRY
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import Settings
from mesh.tokens import write_trust
from tests.fault.mesh_contract import RIGHTS

HOST: Final = "127.0.0.1"
LEDGER: Final = "ledger"
"""The service that is called; several processes of it run."""
TELLER: Final = "teller"
"""The service that calls."""
TRUSTED: Final = "trusted.pem"
"""The authorities that all believe."""
EFFECTS: Final = "effects"

LEASE_S: Final = 4.0
"""Shorter than faults last: whoever is dead or frozen for so long leaves the table meanwhile."""
RENEW_S: Final = 1.0
DRAIN_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The same for all processes of a round.

    `is_far`: who calls and who is called are on two hosts, as far as they know: between them
    are TLS and links that can be made bad.
    """

    folder: Path
    port: int
    is_far: bool

    @classmethod
    def fresh(cls, folder: Path, port: int, *, is_far: bool) -> Self:
        """A new one: keys for all, and certificates where there are two hosts."""
        site = cls(folder=folder, port=port, is_far=is_far)
        rights = {REGISTRY: RIGHTS_OF_ALL, LEDGER: RIGHTS_OF_ALL, TELLER: RIGHTS_OF_ALL | RIGHTS}
        write_trust(site.settings.key_dir, rights)
        if is_far:
            site.certify(Authority.create(site.pki))
            (site.pki / TRUSTED).write_bytes((site.pki / CA).read_bytes())
        return site

    @classmethod
    def told(cls, folder: str, port: str, how: str) -> Self:
        """The one that a process was told of."""
        return cls(folder=Path(folder), port=int(port), is_far=how == "far")

    @property
    def arguments(self) -> tuple[str, str, str]:
        """What a process is told, for `told`."""
        return str(self.folder), str(self.port), "far" if self.is_far else "near"

    @property
    def pki(self) -> Path:
        """The certificates in use."""
        return self.folder / "pki"

    @property
    def effects(self) -> Path:
        """A line for each effect: the id of the request that it is of."""
        return self.folder / EFFECTS

    def weather(self, number: int | str) -> Path:
        """Says what the links to a process of the ledger are to be like."""
        return self.folder / f"weather-{number}"

    @property
    def settings(self) -> Settings:
        """Those of all processes."""
        pki = f"{self.pki}/" if self.is_far else ""
        return Settings(
            var=self.folder,
            port_base=0,
            gateway_port=0,
            metrics_port=0,
            telemetry=False,
            drain_s=DRAIN_S,
            registry=f"{HOST}:{self.port}",
            registry_lease_s=LEASE_S,
            registry_renew_s=RENEW_S,
            tls_certificate=pki and f"{pki}{{service}}.pem",
            tls_key=pki and f"{pki}{{service}}.key",
            tls_ca=pki and f"{pki}{TRUSTED}",
        )

    def log(self, name: str) -> None:
        """Write the events of this process, and its errors, where its output goes."""
        os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
        log.configure(self.settings, name)

    def certify(self, authority: Authority) -> None:
        """Have an authority issue certificates to all services, in its own folder."""
        for name in (REGISTRY, LEDGER, TELLER):
            authority.issue(Names(name=name, hosts=(HOST,)))
