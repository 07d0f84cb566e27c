"""Real MariaDB and Redis servers of one's own: private ports, data in a folder, gone afterwards.

    with MariaDb(folder / "db") as database, Redis(folder / "redis") as redis:
        Settings(database_url=database.url, redis_url=redis.url)

They are Debian's packages (`make setup-real`). A server may be killed, stopped, paused and
started again: what it acknowledged is on disk, as in production.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from loadtests.processes import OwnProcess

START_S: Final = 30.0
CLUSTER_NODES: Final = 3

_LOOK_S: Final = 0.02
_SYSTEM_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


class ServerError(Exception):
    """A server is not installed or did not start; the text has what it said."""


def missing() -> list[str]:
    """Debian packages that real servers need and this machine does not have."""
    needed = {"mariadb-server": "mariadbd", "redis-server": "redis-server"}
    return [package for package, program in needed.items() if _find(program) is None]


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Server(OwnProcess):
    """One server process. `port` stays the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._prepare()
        return super().__enter__()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        return "127.0.0.1", self.port

    def start(self) -> None:
        """Start it on its data; returns once it answers.

        Raises:
            ServerError: it does not.
        """
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a server of our own
                self._command(), stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise ServerError(f"{type(self).__name__} did not start:\n{self._log()}")
            time.sleep(_LOOK_S)

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the first start needs."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """The program and its arguments."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it takes commands now."""

    def _log(self) -> str:
        text = (self.folder / "server.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-20:])


class MariaDb(Server):
    """A MariaDB server; every commit is on disk. `user` may do everything, over TCP, unasked."""

    user: Final = "root"

    @property
    def url(self) -> str:
        """For `ENGINE_DATABASE_URL`."""
        return self.url_by(self.port)

    def url_by(self, port: int) -> str:
        """The same by another port that leads here."""
        return f"mysql://{self.user}@127.0.0.1:{port}"

    def query(self, sql: str, database: str = "") -> list[list[str]]:
        """Rows of a statement by the command-line client, as text."""
        found = subprocess.run(  # noqa: S603 - a client of our own server
            [_program("mariadb"), "--no-defaults", f"--socket={self._socket}", "-uroot", "-NB"]
            + ([database] if database else []),
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if found.returncode:
            raise ServerError(found.stderr.strip())
        return [line.split("\t") for line in found.stdout.splitlines()]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _socket(self) -> Path:
        return self.folder / "sock"

    def _prepare(self) -> None:
        made = subprocess.run(  # noqa: S603 - a server of our own
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self._data}",
                f"--tmpdir={self.folder}",  # two at a time would share names in /tmp
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                *_as_user(),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServerError(f"mariadb-install-db failed:\n{made.stdout}{made.stderr}")

    def _command(self) -> Sequence[str | Path]:
        return [
            _program("mariadbd"),
            "--no-defaults",
            *_as_user(),
            f"--datadir={self._data}",
            f"--tmpdir={self.folder}",
            f"--socket={self._socket}",
            f"--port={self.port}",
            f"--pid-file={self.folder / 'pid'}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-connections=1000",
            "--max-allowed-packet=64M",
            "--innodb-buffer-pool-size=256M",
            "--innodb-log-file-size=96M",
            "--innodb-flush-log-at-trx-commit=1",
        ]

    def _answers(self) -> bool:
        try:
            return self.query("select 1") == [["1"]]
        except ServerError:
            return False


class Redis(Server):
    """A Redis server that has every command on disk before it answers."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options

    @property
    def url(self) -> str:
        """For `ENGINE_REDIS_URL`."""
        return self.url_by(self.port)

    def url_by(self, port: int) -> str:
        """The same by another port that leads here."""
        return f"redis://127.0.0.1:{port}"

    def command(self, *words: str) -> str:
        """What the command-line client prints for a command."""
        found = subprocess.run(  # noqa: S603 - a client of our own server
            [_program("redis-cli"), "-p", str(self.port), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return (found.stdout or found.stderr).strip()

    def _prepare(self) -> None:
        pass

    def _command(self) -> Sequence[str | Path]:
        return [
            _program("redis-server"),
            *("--port", str(self.port)),
            *("--bind", "127.0.0.1"),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "yes"),
            *("--appendfsync", "always"),
            *self._options,
        ]

    def _answers(self) -> bool:
        return self.command("ping") == "PONG"


class RedisCluster:
    """A Redis Cluster of three masters; a context manager like a server."""

    def __init__(self, folder: Path) -> None:
        options = [*("--cluster-enabled", "yes"), *("--cluster-node-timeout", "2000")]
        options += ["--cluster-require-full-coverage", "no"]
        self.nodes = [
            Redis(folder / str(number), *options, "--cluster-port", str(free_port()))
            for number in range(CLUSTER_NODES)
        ]

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.__enter__()
            self._join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.__exit__()

    @property
    def url(self) -> str:
        """For `ENGINE_REDIS_URL`."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://{hosts}"

    def _join(self) -> None:
        first, *_ = self.nodes
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        said = first.command("--cluster", "create", *addresses, "--cluster-yes")
        until = time.monotonic() + START_S
        while any("cluster_state:ok" not in n.command("cluster", "info") for n in self.nodes):
            if time.monotonic() > until:
                raise ServerError(f"the Redis Cluster did not form:\n{said}")
            time.sleep(_LOOK_S)


def _program(name: str) -> str:
    found = _find(name)
    if found is None:
        raise ServerError(f"{name} is not installed: run 'make setup-real'")
    return found


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def _as_user() -> list[str]:
    """MariaDB refuses to run as root unless told to."""
    return ["--user=root"] if os.geteuid() == 0 else []
