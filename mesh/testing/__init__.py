"""The testing kit: for who writes a service, and for who only calls one.

Who calls: `fake` is a stub that answers from a mapping, `failure` what a service would refuse
with. Who serves: `serve` puts a service behind a real channel and the real chain, `Faults`
makes its methods fail or slow, `Mesh` runs several services, `Link` is a bad network.

Names are loaded when they are first used: a fake needs no more than the client's wheel has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.testing._answers import Answer
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
    "calls",
    "failure",
    "fake",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mesh.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
