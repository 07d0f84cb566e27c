"""The testing kit: for who writes a service, and for who only calls one.

Who calls: `fake` and `blocking_fake` are stubs that answer from a mapping, `failure` is what a
service would refuse with, `calls` tells what was asked. Who serves: `serve` puts a service
behind a real channel and the real chain, `Faults` makes its methods fail or slow, `Mesh` runs
several services. For both: `Link` is a network that can be made bad.

Names are loaded when they are first used: a fake needs no more than the client's wheel has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.testing._answers import Answer
    from mesh.testing._blocking import blocking_fake
    from mesh.testing._errors import failure
    from mesh.testing._fake import Asked, calls, fake
    from mesh.testing._faults import Faults
    from mesh.testing._link import Link, Way
    from mesh.testing._mesh import KEY_ID, Mesh
    from mesh.testing._serve import serve

_HOMES = {
    "KEY_ID": "mesh.testing._mesh",
    "Answer": "mesh.testing._answers",
    "Asked": "mesh.testing._fake",
    "Faults": "mesh.testing._faults",
    "Link": "mesh.testing._link",
    "Mesh": "mesh.testing._mesh",
    "Way": "mesh.testing._link",
    "blocking_fake": "mesh.testing._blocking",
    "calls": "mesh.testing._fake",
    "failure": "mesh.testing._errors",
    "fake": "mesh.testing._fake",
    "serve": "mesh.testing._serve",
}

__all__ = [
    "KEY_ID",
    "Answer",
    "Asked",
    "Faults",
    "Link",
    "Mesh",
    "Way",
    "blocking_fake",
    "calls",
    "failure",
    "fake",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mesh.testing' has no attribute {name!r}")
    try:
        home = import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        raise ImportError(
            f"mesh.testing.{name} needs the platform, and here is its client alone: {error}"
        ) from error
    return getattr(home, name)
