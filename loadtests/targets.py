"""Where the services under load are: in the registry of ENGINE_VAR, or as told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mesh import DirectoryRegistry, Entry
from mesh.settings import load
from mesh.tokens import ServiceKey


class TargetMissing(Exception):  # noqa: N818 - a state of the platform
    """A service is neither registered nor told; the text says what to do."""


class Targets:
    """Addresses of services.

    Args:
        told: "NAME=HOST:PORT" for services on other machines.
        environ: has ENGINE_VAR when it is not the default; the process's own if None.
    """

    def __init__(self, told: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        self._told = dict(item.split("=", 1) for item in told)
        self._settings = load(environ)
        self._registry = DirectoryRegistry(self._settings.run_dir)
        self._keys: dict[str, ServiceKey] = {}

    def grpc(self, service: str) -> str:
        """The gRPC address of a service, "host:port"."""
        return self._told.get(service) or self._entry(service).address

    def gateway(self) -> str:
        """The gateway's URL, without a trailing slash."""
        return f"http://{self._entry('gateway').http}"

    def key(self, name: str) -> ServiceKey:
        """The key of a local identity of this machine.

        Raises:
            TargetMissing: the platform does not run here, or is another user's.
        """
        if name not in self._keys:
            try:
                self._keys[name] = ServiceKey.load(self._settings.key_dir, name)
            except OSError as error:
                raise TargetMissing(
                    f"No key of '{name}' in {self._settings.key_dir}: run this on the platform's "
                    "own machine, with its ENGINE_VAR"
                ) from error
        return self._keys[name]

    def running(self) -> bool:
        """Whether a gateway is registered."""
        return bool(self._registry.lookup("gateway"))

    def _entry(self, service: str) -> Entry:
        found = self._registry.lookup(service)
        if not found:
            raise TargetMissing(
                f"No '{service}' is registered: start the platform with 'make run', "
                f"set ENGINE_VAR, or name it with --host and --target {service}=HOST:PORT"
            )
        return found[0]
