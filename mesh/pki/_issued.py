"""What an authority has issued: whose each certificate is, where it is valid, how long."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509

from mesh.pki._files import PkiError, read_certificate
from mesh.tls import TRUST_DOMAIN, identity_of

HOST: Final = "host/"
"""Begins the path of a SPIFFE id that is of a host, not of a service."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a certificate is issued for.

    Args:
        name: of the service, or of the host when it is `shared`.
        hosts: names and addresses that it is reached at.
        shared: all services of a host show it; it proves none of them.
    """

    name: str
    hosts: tuple[str, ...]
    shared: bool = False

    @property
    def identity(self) -> str:
        """The SPIFFE id."""
        return identity_of(HOST + self.name if self.shared else self.name)

    def check(self) -> None:
        """Refuse what no certificate can say.

        Raises:
            PkiError: names what is wrong.
        """
        if not _NAME.fullmatch(self.name):
            raise PkiError(f"'{self.name}' is no name: use a-z, 0-9 and '-', as in 'customer'")
        if not self.hosts:
            raise PkiError("a certificate needs the names or addresses it is reached at: --host")
        for host in self.hosts:
            if not _is_address(host) and not _DNS.fullmatch(host):
                raise PkiError(f"'{host}' is neither a host's name nor an address")

    def alternative(self) -> x509.SubjectAlternativeName:
        """The names as a certificate has them."""
        hosts = (
            x509.IPAddress(ipaddress.ip_address(host)) if _is_address(host) else x509.DNSName(host)
            for host in self.hosts
        )
        return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(self.identity), *hosts])

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self | None:
        """What a certificate was issued for; None when it was not issued here."""
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return None
        names = extension.value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        if len(uris) != 1 or not uris[0].startswith(TRUST_DOMAIN):
            return None
        addresses: Iterable[object] = names.get_values_for_type(x509.IPAddress)
        path = uris[0].removeprefix(TRUST_DOMAIN)
        return cls(
            name=path.removeprefix(HOST),
            hosts=(*names.get_values_for_type(x509.DNSName), *map(str, addresses)),
            shared=path.startswith(HOST),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One certificate of an authority, and where it is."""

    names: Names
    path: Path
    begins: datetime
    ends: datetime

    @property
    def life(self) -> timedelta:
        """How long it is valid in all."""
        return self.ends - self.begins

    def is_due(self, now: datetime) -> bool:
        """Whether it should be renewed: two thirds of its life are over."""
        return now >= self.ends - self.life / 3


def issued_in(folder: Path) -> Sequence[Issued]:
    """The certificates in a folder, by name; the authority's own is not among them.

    Raises:
        PkiError: a file there is no certificate.
    """
    found = []
    for path in sorted(folder.glob("*.pem")):
        certificate = read_certificate(path)
        names = Names.of(certificate)
        if names is not None:
            found.append(
                Issued(
                    names=names,
                    path=path,
                    begins=certificate.not_valid_before_utc,
                    ends=certificate.not_valid_after_utc,
                )
            )
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
