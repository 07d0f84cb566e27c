"""Looks at the certificates that services show one another: are they fit, and for how long?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.checkup.finding import Finding, fail, graded
from mesh.settings import Settings
from mesh.tls import Certificate, CertificateError

SOON: Final = timedelta(days=2)
"""A certificate that ends within this time has missed its renewal."""


def examine(settings: Settings, services: Iterable[str]) -> Iterator[Finding]:
    """Look at the files of each service; those that several share are looked at once."""
    seen: dict[Certificate, str] = {}
    for service in services:
        certificate = Certificate.of(settings, service)
        if certificate is not None:
            seen.setdefault(certificate, service)
    for certificate, service in seen.items():
        whose = f"certificate of {service}" if len(seen) > 1 else "certificate"
        yield _examine(whose, certificate)


def _examine(whose: str, certificate: Certificate) -> Finding:
    now = datetime.now(UTC)
    try:
        expires = certificate.load(now).expires
    except CertificateError as error:
        return fail(whose, str(error), "'engine pki show' lists what there is.")
    return graded(
        whose,
        f"good until {expires:%Y-%m-%d %H:%M} UTC",
        "Run 'engine pki renew' daily: it has not run, or the files were not brought here.",
        bad=expires - now < SOON,
    )
