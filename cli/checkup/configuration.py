"""Looks at the settings themselves: what is unwise in production."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from cli.checkup.finding import Finding, fail, graded, ok
from gateway import rulebook
from mesh.settings import Settings, SettingsError, is_loopback


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the settings and the files that they name; touches nothing."""
    on_servers = bool(settings.database_url or settings.redis_url)
    yield graded(
        "demo",
        "users with known passwords" if settings.demo else "off",
        "Set ENGINE_DEMO=0 in production, on a database that never was a demo's.",
        bad=settings.demo,
        worse=settings.demo and on_servers,
    )
    yield graded(
        "listening",
        f"{settings.host}, {_spoken(settings)}",
        "Keep what is without TLS behind a firewall, and put a proxy with TLS before the gateway; "
        "'engine pki' makes certificates for the services.",
        bad=not is_loopback(settings.host),
    )
    yield graded(
        "replicas",
        f"{settings.replicas} of each service",
        "With ENGINE_REPLICAS=2 the platform outlives the death of a process.",
        bad=bool(settings.database_url) and settings.replicas == 1,
    )
    if settings.gateway_rules:
        yield _rules(settings)
    if settings.database_url:
        yield from _database(settings)
    if settings.redis_url:
        yield from _redis(settings)


def _spoken(settings: Settings) -> str:
    if settings.tls_certificate:
        return "services with TLS, gateway and metrics without"
    return "without TLS"


def _rules(settings: Settings) -> Finding:
    try:
        found = rulebook.load(settings.gateway_rules)
    except SettingsError as error:
        return fail("REST rules", str(error), "Correct the files: the gateway does not start.")
    return ok("REST rules", f"{len(found.entries)} methods in {settings.gateway_rules}")


def _database(settings: Settings) -> Iterator[Finding]:
    host = urlsplit(settings.database_url).hostname or ""
    yield graded(
        "database secret",
        "set" if settings.database_password else "no password",
        "Give its user a password, and ENGINE_DATABASE_PASSWORD_FILE the file that has it.",
        bad=not settings.database_password,
    )
    yield graded(
        "database TLS",
        f"verified by {settings.database_ca}" if settings.database_ca else "off",
        "Set ENGINE_DATABASE_CA: passwords and customers cross the network in clear text.",
        bad=not settings.database_ca and not is_loopback(host),
    )


def _redis(settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.redis_url)
    yield graded(
        "redis secret",
        "set" if settings.redis_password else "no password",
        "Set requirepass or an ACL user, and ENGINE_REDIS_PASSWORD_FILE to the file that has it.",
        bad=not settings.redis_password,
    )
    local = all(is_loopback(part.rpartition(":")[0] or part) for part in _hosts(url.netloc))
    if url.scheme.startswith("rediss"):
        yield ok("redis TLS", "on")
    else:
        yield graded(
            "redis TLS",
            "off",
            "Use rediss://: events cross the network in clear text.",
            bad=not local,
        )


def _hosts(netloc: str) -> list[str]:
    return netloc.rpartition("@")[2].split(",")
