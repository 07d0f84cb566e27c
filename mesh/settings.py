"""Settings: `ENGINE_*` in the environment, read once, frozen after that.

Unknown `ENGINE_*` variables and values out of bounds are refused with the name,
the value (masked when secret) and the bound.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

PREFIX = "ENGINE_"
FILE = "_FILE"
HIDDEN = "***"


class SettingsError(Exception):
    """One or more settings cannot be used; the text says which and what to do."""


def _setting(
    default: Any, help_: str, *, low: float = 0, high: float = 0, secret: bool = False
) -> Any:
    metadata = {"help": help_, "low": low, "high": high, "secret": secret}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the platform, with its unit, default and bounds."""

    var: Path = _setting(Path("var"), "folder for databases, sockets, keys and logs")
    demo: bool = _setting(False, "demo users with known passwords; never in production")
    host: str = _setting("127.0.0.1", "address that services and gateway listen on")
    gateway_port: int = _setting(8080, "HTTP port of the gateway; 0 picks a free one", high=65535)
    gateway_rules: str = _setting(
        "",
        "folder of YAML files with HTTP rules for contracts that carry none; empty: no such rules",
    )
    port_base: int = _setting(
        50050, "first of the services' gRPC ports; 0 picks free ones", high=65000
    )
    metrics_port: int = _setting(
        9464, "port of the Prometheus endpoint; 0 picks a free one", high=65535
    )
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")
    log_format: str = _setting("auto", "auto (console on a terminal), console or json")
    telemetry: bool = _setting(True, "send traces and metrics to the UMS")
    trace_sample: float = _setting(
        -1.0, "share of requests traced, 0 to 1; -1: all in the demo, else 1 %", low=-1, high=1
    )
    otlp_endpoint: str = _setting("", "host:port of an OTLP collector; empty: the UMS service")
    otlp_token: str = _setting("", "bearer token for that collector", secret=True)
    rate_per_s: float = _setting(
        500.0, "requests a second that a caller may keep up", low=0.1, high=1e6
    )
    rate_burst: int = _setting(
        1000, "requests that a caller may send at once", low=1, high=1_000_000
    )
    sign_on_rate_per_s: float = _setting(
        20.0, "anonymous requests a second from one address", low=0.1, high=1e6
    )
    max_body_bytes: int = _setting(4 << 20, "largest HTTP request body", low=1024, high=1 << 30)
    max_header_bytes: int = _setting(32 << 10, "largest HTTP request head", low=1024, high=1 << 20)
    max_connections: int = _setting(10_000, "open HTTP connections", low=1, high=1_000_000)
    max_in_flight: int = _setting(2_000, "calls that a service runs at once", low=1, high=1_000_000)
    shed_delay_s: float = _setting(
        0.1,
        "seconds that calls may wait in an overloaded service before some are refused; 0: any",
        low=0,
        high=60,
    )
    tls_certificate: str = _setting(
        "",
        "file with the certificate for gRPC and lanes between hosts, {service} in its path is the "
        "service's name; empty: no TLS",
    )
    tls_key: str = _setting("", "file with the private key of that certificate, as above")
    tls_ca: str = _setting("", "file with the CA that the certificates of all hosts are of")
    allow_plaintext: bool = _setting(
        False, "listen on other addresses than this machine's own without TLS"
    )
    idle_timeout_s: float = _setting(
        75.0, "seconds that an idle HTTP connection is kept", low=1, high=3600
    )
    header_timeout_s: float = _setting(
        10.0, "seconds for an HTTP request to arrive", low=0.1, high=600
    )
    retry_percent: float = _setting(
        20.0,
        "calls of 100 that may be sent a second time, beside 10 a second; 0: none",
        low=0,
        high=100,
    )
    breaker: bool = _setting(True, "refuse calls of methods that fail too often, unsent")
    ejection_percent: float = _setting(
        50.0,
        "processes of 100 that may get no calls for their failures; 0: none",
        low=0,
        high=100,
    )
    hedge_after_s: float = _setting(
        -1.0,
        "seconds until a read is sent a second time; 0: when it takes longer than 95 % of its "
        "method's; -1: never",
        low=-1,
        high=60,
    )
    drain_s: float = _setting(
        10.0, "seconds for calls in flight to end when stopping", low=0, high=600
    )
    token_ttl_s: int = _setting(300, "life of an access token, seconds", low=10, high=3600)
    session_ttl_s: int = _setting(8 * 3600, "life of a session, seconds", low=60, high=30 * 86400)
    trust_silence_s: float = _setting(
        5.0,
        "seconds without news of ended rights after which users' writes are refused",
        low=2,
        high=60,
    )
    bus_lease_s: float = _setting(
        3.0, "seconds until another member of a group is served when one is silent", low=1, high=60
    )
    bus_retention_days: int = _setting(
        7, "days that the bus keeps events after all groups had them", low=1, high=3650
    )
    database_url: str = _setting(
        "", "mysql://user@host:port of MariaDB, MySQL or TiDB; empty: SQLite files under ENGINE_VAR"
    )
    database_password: str = _setting("", "password of that user", secret=True)
    database_ca: str = _setting("", "file with the CA of the database's certificate; empty: no TLS")
    database_prefix: str = _setting(
        "engine_", "the database of a service is named by this and the service"
    )
    database_pool: int = _setting(
        8, "connections for reads that a service keeps to its database", low=1, high=200
    )
    database_timeout_s: float = _setting(
        5.0, "seconds until a connection to the database counts as lost", low=0.1, high=60
    )
    slow_statement_s: float = _setting(
        0.2, "seconds from which a statement is logged as slow", low=0.001, high=60
    )
    migrate: bool = _setting(
        True, "bring a service's database to its newest revision at the start; 0: only check it"
    )
    redis_url: str = _setting(
        "",
        "redis://host:port, rediss:// with TLS, redis+cluster://host:port,host:port; "
        "empty: caches and limits within each process",
    )
    redis_password: str = _setting("", "password of Redis", secret=True)
    redis_timeout_s: float = _setting(
        0.5, "seconds until a command to Redis is given up", low=0.01, high=10
    )
    redis_connections: int = _setting(
        32, "connections that a service keeps to Redis", low=1, high=1_000
    )
    bus: str = _setting("embedded", "who carries events: embedded (the service bus) or redis")
    sequencer_log: str = _setting(
        "sql", "where the logs of sequences are: sql (the sequencer's database) or redis"
    )
    registry: str = _setting(
        "",
        "host:port of the registries, best first, separated by commas; "
        "empty: the folder of this host",
    )
    registry_lease_s: float = _setting(
        10.0, "seconds that a silent instance stays in the registry", low=1, high=300
    )
    registry_renew_s: float = _setting(
        3.0, "seconds between two signs of life to the registry", low=0.1, high=100
    )
    registry_xds: str = _setting(
        "local", "who may ask the registry by xDS: local (this host), any or none"
    )
    replicas: int = _setting(1, "processes of each service under 'engine up'", low=1, high=16)
    demo_scale: str = _setting("S", "size of the demo bank: S (10,000), M or L")
    seed: int = _setting(20260101, "seed of the demo bank", low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        """Refuse settings that do not go together.

        Raises:
            SettingsError: says what is missing.
        """
        if self.bus == "redis" and not self.redis_url:
            raise SettingsError("ENGINE_BUS=redis needs ENGINE_REDIS_URL")
        if self.sequencer_log == "redis" and not self.redis_url:
            raise SettingsError("ENGINE_SEQUENCER_LOG=redis needs ENGINE_REDIS_URL")
        if len(self.registries) > 1 and not self.redis_url:
            raise SettingsError(
                "ENGINE_REGISTRY names several registries: they share one table in Redis, "
                "set ENGINE_REDIS_URL"
            )
        if self.registry_renew_s > self.registry_lease_s / 2:
            raise SettingsError(
                "ENGINE_REGISTRY_RENEW_S must be at most half of ENGINE_REGISTRY_LEASE_S: "
                "one lost message must not take an instance out"
            )
        if len({bool(self.tls_certificate), bool(self.tls_key), bool(self.tls_ca)}) > 1:
            raise SettingsError(
                "ENGINE_TLS_CERTIFICATE, ENGINE_TLS_KEY and ENGINE_TLS_CA go together"
            )
        if not (self.tls_certificate or self.allow_plaintext or is_loopback(self.host)):
            raise SettingsError(
                f"ENGINE_HOST={self.host} is reached from other hosts, and there is no TLS: set "
                "ENGINE_TLS_CERTIFICATE, ENGINE_TLS_KEY and ENGINE_TLS_CA ('engine pki' makes "
                "them), or ENGINE_ALLOW_PLAINTEXT=1 where the network itself is trusted"
            )
        if self.replicas > 1 and not self.database_url:
            raise SettingsError(
                f"ENGINE_REPLICAS={self.replicas} needs ENGINE_DATABASE_URL: "
                "several processes of a service share a database server, not files"
            )

    @property
    def registries(self) -> tuple[str, ...]:
        """The registries of leases, "host:port", best first; none: the folder of this host is one.

        Raises:
            SettingsError: ENGINE_REGISTRY cannot be read; said when settings are made.
        """
        found = tuple(text.strip() for text in self.registry.split(",") if text.strip())
        for text in found:
            host, _, port = text.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise SettingsError(f"ENGINE_REGISTRY: {text!r} is no host:port of a registry")
        return found

    @property
    def run_dir(self) -> Path:
        """Sockets and the registry."""
        return self.var / "run"

    @property
    def key_dir(self) -> Path:
        """Keys of the services."""
        return self.var / "keys"

    @property
    def data_dir(self) -> Path:
        """Databases, one file a service."""
        return self.var / "data"

    @property
    def sample_ratio(self) -> float:
        """Share of requests traced, 0 to 1."""
        if self.trace_sample >= 0:
            return self.trace_sample
        return 1.0 if self.demo else 0.01


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    A secret may stand in a file that its owner alone can read: `NAME_FILE` has the path.

    Raises:
        SettingsError: a variable is unknown, of the wrong type or out of bounds.
    """
    env = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, text in env.items():
        if not name.startswith(PREFIX):
            continue
        try:
            setting, value = read(name, text)
        except SettingsError as error:
            problems.append(str(error))
            continue
        if setting in values:
            problems.append(f"{name}: it is set twice, as a value and by a file")
        values[setting] = value
    if problems:
        raise SettingsError("\n".join([*problems, "See 'engine settings' for all of them."]))
    return Settings(**values)


def read(name: str, text: str) -> tuple[str, Any]:
    """The field of `Settings` that a variable sets, and its value.

    Raises:
        SettingsError: there is no such variable, or the value cannot be used.
    """
    variable = name
    if name.endswith(FILE) and _is_secret(name.removesuffix(FILE)):
        variable = name.removesuffix(FILE)
        text = _secret(name, Path(text))
    known = _known()
    if variable not in known:
        raise SettingsError(f"{name}: no such setting{_nearest(name, known)}")
    setting = known[variable]
    try:
        return setting.name, _parse(text, setting)
    except ValueError as error:
        shown = HIDDEN if setting.metadata["secret"] else repr(text)
        raise SettingsError(f"{name}={shown}: {error}") from None


def _known() -> dict[str, Any]:
    return {PREFIX + f.name.upper(): f for f in fields(Settings)}


def _is_secret(name: str) -> bool:
    setting = _known().get(name)
    return setting is not None and setting.metadata["secret"]


def _secret(name: str, path: Path) -> str:
    """What stands in the file of a secret, which nobody but its owner may read."""
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise SettingsError(f"{name}: others can read {path}; run 'chmod 600 {path}'")
            return file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: cannot read {path} ({error})") from None


def dump(settings: Settings) -> list[tuple[str, str, str, bool]]:
    """Every setting as (variable, value, help, changed); secrets are masked."""
    rows = []
    for f in fields(Settings):
        value = getattr(settings, f.name)
        shown = HIDDEN if f.metadata["secret"] and value else _text(value)
        rows.append((PREFIX + f.name.upper(), shown, f.metadata["help"], value != f.default))
    return rows


def to_environ(settings: Settings) -> dict[str, str]:
    """The variables that make `load` answer these settings."""
    return {PREFIX + f.name.upper(): _text(getattr(settings, f.name)) for f in fields(Settings)}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_CHOICES = {
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "log_format": ("auto", "console", "json"),
    "demo_scale": ("S", "M", "L"),
    "bus": ("embedded", "redis"),
    "sequencer_log": ("sql", "redis"),
    "registry_xds": ("local", "any", "none"),
}
_BOOLEANS = {
    "1": True,
    "true": True,
    "yes": True,
    "0": False,
    "false": False,
    "no": False,
    "": False,
}


def _parse(text: str, setting: Any) -> Any:
    kind = type(setting.default)
    if kind is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError("use 1 or 0")
        return _BOOLEANS[text.lower()]
    if kind in (int, float):
        return _number(text, kind, setting.metadata["low"], setting.metadata["high"])
    if setting.name in _CHOICES and text not in _CHOICES[setting.name]:
        raise ValueError(f"use one of {', '.join(_CHOICES[setting.name])}")
    if kind is not str and not text:
        raise ValueError("must not be empty")
    return Path(text) if isinstance(setting.default, Path) else text


def _number(text: str, kind: type, low: float, high: float) -> int | float:
    try:
        value: int | float = kind(text)
    except ValueError:
        word = "a whole number" if kind is int else "a number"
        raise ValueError(f"must be {word}") from None
    if not low <= value <= high:
        raise ValueError(f"must be between {low:g} and {high:g}")
    return value


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
