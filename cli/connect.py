"""Channels for command lines on the machine that the platform runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.names import OPERATOR
from cli.output import fail

if TYPE_CHECKING:
    import grpc

    from mesh.lane.dial import Tls
    from mesh.registry import Entry
    from mesh.settings import Settings
    from sequencer.sdk import Sequencer


def load_settings() -> Settings:
    """The settings of the environment; ends the program with what is wrong with them."""
    from mesh import settings

    try:
        return settings.load()
    except settings.SettingsError as error:
        fail(f"bad settings\n{error}", code=2)


def use_settings_file(path: Path | None) -> None:
    """Let all that this program and its children do be set by a file, beside the environment.

    What the environment sets already, wins. Ends the program with what is wrong with the file.
    """
    if path is None:
        return
    from mesh.settings import SettingsError
    from mesh.settings_file import environ_with

    try:
        os.environ.update(environ_with(path, os.environ))
    except SettingsError as error:
        fail(f"bad settings\n{error}", code=2)


def demo_runs(settings: Settings) -> bool:
    """Whether the platform is a demo, by this terminal's settings or by the bank it was given."""
    return settings.demo or (settings.var / "bank").exists()


def find(service: str, settings: Settings | None = None) -> Entry:
    """The entry of a running service; ends the program when there is none."""
    from mesh.registry import DirectoryRegistry

    settings = settings or load_settings()
    found = DirectoryRegistry(settings.run_dir).lookup(service)
    if not found:
        fail(
            f"no '{service}' serves on {settings.var}",
            "Start the platform with 'make run', or set ENGINE_VAR to its folder.",
        )
    return found[0]


@contextmanager
def blocking_channel(
    service: str | Entry,
    *,
    caller: str = OPERATOR,
    token: str = "",
    settings: Settings | None = None,
) -> Iterator[grpc.Channel]:
    """A blocking channel to a running service of this machine.

    Args:
        service: name in the registry, or the entry of one of its processes.
        caller: local identity to act as; unused when `token` is given.
        token: a user's access token, to act as that user.
        settings: where the platform runs; read from the environment by default.
    """
    from mesh import context as wire
    from mesh.blocking import blocking_channel as open_channel
    from mesh.channel import bearer
    from mesh.tokens import ServiceKey

    settings = settings or load_settings()
    entry = find(service, settings) if isinstance(service, str) else service
    if token:
        proofs = bearer(token)
    else:
        key = ServiceKey.load(settings.key_dir, caller)

        def proofs() -> wire.Metadata:
            return ((wire.CALLER, key.token()),)

    target = entry.endpoint(entry.host_id)  # it is on this machine: its registry says so
    with open_channel(target, proofs, timeout_s=30.0) as channel:
        yield channel


def _shown(settings: Settings) -> Tls | None:
    """What other hosts are shown, where the operator has a certificate (`engine pki issue`)."""
    from mesh.tls import Certificate

    certificate = Certificate.of(settings, OPERATOR)
    if certificate is None or not Path(certificate.certificate).exists():
        return None
    return certificate.load()


def sequencer(*, settings: Settings | None = None) -> Sequencer:
    """The SDK of the running sequencer, as the operator; creates sequences that are missing."""
    from mesh.registry import DirectoryRegistry
    from mesh.tokens import ServiceKey
    from sequencer.sdk import Sequencer, mesh_source

    settings = settings or load_settings()
    find("sequencer", settings)
    key = ServiceKey.load(settings.key_dir, OPERATOR)
    source = mesh_source(DirectoryRegistry(settings.run_dir), key, _shown(settings))
    return Sequencer(source, create_missing=True)
