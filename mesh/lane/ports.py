"""Where a server takes lanes over sockets, and what is known of who connects."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from mesh.lane.carrier import Session
from mesh.lane.socket import SocketCarrier, refuse_other_users

UNIX: Final = "unix:"
MAX_SOCKET_PATH: Final = 107


class Arrival(NamedTuple):
    """A client that has connected.

    `way` is the kind of carrier, `peer` where it is as gRPC writes addresses, `listener` the
    path of the Unix socket, `auth_context` what the connection proves of it.
    """

    way: str
    peer: str
    listener: str = ""
    auth_context: Mapping[str, Sequence[bytes]] = {}


Take = Callable[[Arrival], Session]
"""Takes a client in, or refuses it by a `LaneError`."""


async def listen(address: str, tls: ssl.SSLContext | None, take: Take) -> asyncio.Server:
    """Listen at "unix:/path", or with `tls` at "host:port".

    Raises:
        OSError: the address is taken, or its folder is open to others.
    """
    loop = asyncio.get_running_loop()
    if tls is not None:
        host, _, port = address.rpartition(":")
        return await loop.create_server(
            lambda: SocketCarrier(lambda transport: take(_over_tls(transport))),
            host.strip("[]"),
            int(port),
            ssl=tls,
        )
    path = os.path.realpath(address.removeprefix(UNIX))  # noqa: ASYNC240 - once, at start
    _refuse_open_folder(Path(path).parent)
    make_way(path)

    def session(transport: asyncio.Transport) -> Session:
        refuse_other_users(transport)
        return take(Arrival("unix", "unix:", path))

    return await loop.create_unix_server(lambda: SocketCarrier(session), path)


def _over_tls(transport: asyncio.Transport) -> Arrival:
    host, port, *_ = transport.get_extra_info("peername")
    peer = f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
    certificate = transport.get_extra_info("peercert") or {}
    return Arrival("tls", peer, auth_context=_proven(certificate))


def _proven(certificate: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """What a certificate says, under gRPC's names."""
    proven = {"transport_security_type": [b"ssl"]}
    names = [
        value
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    ]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    if names:
        proven["x509_common_name"] = [name.encode() for name in names]
    if others or uris:
        proven["x509_subject_alternative_name"] = [name.encode() for name in (*others, *uris)]
    if len(uris) == 1 and uris[0].startswith("spiffe://"):
        proven["peer_spiffe_id"] = [uris[0].encode()]
    return proven


def make_way(path: str) -> None:
    """Remove a socket that nobody listens on any more; the loop would remove any.

    Raises:
        OSError: somebody does, or the path is longer than a Unix socket's may be.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise OSError(f"{path} is too long for a socket: {MAX_SOCKET_PATH} bytes are the most")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if Path(path).is_socket():
                Path(path).unlink(missing_ok=True)
                return
        except BlockingIOError:  # it has more to accept than it can
            pass
    raise OSError(f"{path} is in use: another process listens there")


def _refuse_open_folder(folder: Path) -> None:
    if folder.stat().st_mode & 0o077:
        raise OSError(f"{folder}: others can enter it; run 'chmod 700 {folder}'")
