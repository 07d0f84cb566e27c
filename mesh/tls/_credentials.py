"""What a process shows of itself and whom it believes, renewed when its files are."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc

from mesh.background import Background
from mesh.clock import Clock, SystemClock
from mesh.log import get_logger
from mesh.telemetry import Meters
from mesh.tls._certificate import Certificate, CertificateError
from mesh.tls._loaded import Loaded

LOOK_S: Final = 0.2
"""How often it looks at the files. A change is taken when the next look finds it unchanged:
several files are not replaced in one step."""

_Signature = tuple[tuple[int, int, int], ...]

_log = get_logger(__name__)


class Credentials(Background):
    """The certificate of this process, followed for as long as it is entered.

    What hangs on it (servers, channels, lanes) uses the new one for new connections;
    those that stand, stay. `version` is another after every renewal.

    Args:
        certificate: the files.
        clock: decides whether what they hold is in force.
        meters: shows when it expires, and counts renewals and refusals.

    Raises:
        CertificateError: the files cannot be used, at the start; later they are refused.
    """

    def __init__(
        self, certificate: Certificate, *, clock: Clock | None = None, meters: Meters | None = None
    ) -> None:
        self._certificate = certificate
        self._clock = clock or SystemClock()
        self._seen = self._taken = _signature(certificate.paths)
        self._loaded = certificate.load(self._clock.now())
        self._front = certificate.load(self._clock.now()).server
        self._front.sni_callback = self._choose
        self.version = 1
        meters = meters or Meters()
        meters.gauge("mesh.certificate_expires", self._expires)
        self._renewed = meters.counter("mesh.certificates_renewed")
        self._refused = meters.counter("mesh.certificates_refused")

    def _expires(self) -> float:
        """When our certificate does, in POSIX seconds."""
        return self._loaded.expires.timestamp()

    @property
    def loaded(self) -> Loaded:
        """What is in use now."""
        return self._loaded

    def client_context(self) -> ssl.SSLContext:
        """For the next lane over a TLS socket."""
        return self._loaded.client

    def server_context(self) -> ssl.SSLContext:
        """For a socket that takes lanes over TLS; each connection gets what is in use then."""
        return self._front

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For the next ordinary channel of gRPC."""
        return self._loaded.channel_credentials()

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a port of gRPC; each connection gets what is in use then."""
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.server_configuration(),
            _Fetch(lambda: self._loaded),  # type: ignore[arg-type]
            require_client_authentication=True,
        )

    def look(self) -> None:
        """See whether the files were replaced, and take what is in them if it is fit."""
        found = _signature(self._certificate.paths)
        is_settled, self._seen = found == self._seen, found
        if not is_settled or found == self._taken:
            return
        self._taken = found
        try:
            self._loaded = self._certificate.load(self._clock.now())
        except CertificateError as error:
            self._refused.add()
            _log.error("certificate_refused", problem=str(error))
        else:
            self.version += 1
            self._renewed.add()
            _log.info("certificate_renewed", expires=self._loaded.expires.isoformat())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        """Asked at each hello of a client, whether it names the server or not."""
        connection.context = self._loaded.server


class _Fetch:
    """Answers gRPC, from a thread of its own, what a new connection is to use.

    None, which gRPC's types leave out, stands for what the last one used.
    """

    def __init__(self, loaded: Callable[[], Loaded]) -> None:
        self._loaded = loaded
        self._last = loaded()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        loaded = self._loaded()
        if loaded is self._last:
            return None
        self._last = loaded
        return loaded.server_configuration()


def _signature(paths: tuple[Path, ...]) -> _Signature:
    """Tells files from those that replace them; a missing one has none."""
    return tuple(map(_stat, paths))


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
