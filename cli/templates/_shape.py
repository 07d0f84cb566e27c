"""The shape of a centre: which parts it has, what each holds, and what it may not import.

The template has it, and every centre that there is. It is read from the source, so
that a centre need not be importable to be judged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

SQL: Final = frozenset({"sqlalchemy", "alembic"})
STORE: Final = frozenset({"mesh.storage"})
INPUT_AND_OUTPUT: Final = SQL | frozenset(
    {
        *("asyncio", "grpc", "os", "pathlib", "random", "socket", "subprocess", "threading"),
        *("time", "mesh.channel", "mesh.events", "mesh.service", "mesh.settings", "mesh.storage"),
        *("sequencer", "engine.stubs"),
    }
)
"""What pure rules do without. `engine.stubs` stands for every generated stub."""

STUBS: Final = frozenset({"engine.stubs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a centre, by the names of its modules.

    Args:
        name: what the other parts call it.
        modules: what its modules are called, as shell patterns; empty for those that
            no other part claims.
        holds: what is in them, in one line.
        needed: whether every centre has at least one.
        without: parts of the same centre that it does not import.
        never: packages that it does not import.
    """

    name: str
    modules: tuple[str, ...] = ()
    holds: str
    needed: bool = False
    without: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()

    def claims(self, module: str) -> bool:
        """Whether a module belongs to it by its name."""
        return any(re.fullmatch(one.replace("*", "[a-z_]+"), module) for one in self.modules)


def _parts(*names: str) -> frozenset[str]:
    return frozenset(names)


FACE: Final = Part(
    name="face",
    modules=("__init__",),
    holds="one sentence: what the centre is for",
    needed=True,
    without=_parts("app", "rpc", "events", "scope", "use case", "client")
    | _parts("rows", "tables", "wire", "domain", "errors"),
)
APP: Final = Part(
    name="app",
    modules=("app",),
    holds="`BLUEPRINT` and `build(parts)`: makes the objects below and names what is served",
    needed=True,
    without=_parts("tables"),
    never=SQL,
)
RPC: Final = Part(
    name="rpc",
    modules=("rpc", "*_rpc"),
    holds="the servicer of a contract: proto in, proto out, nothing else",
    needed=True,
    without=_parts("app", "events", "rows", "tables", "client"),
    never=SQL | STORE,
)
EVENTS: Final = Part(
    name="events",
    modules=("events",),
    holds="the events that it hears, and those that several use cases tell",
    without=_parts("app", "rpc", "tables"),
    never=SQL,
)
SCOPE: Final = Part(
    name="scope",
    modules=("scope",),
    holds="whose rows a caller reaches, where that is not a customer's owner",
    without=_parts("app", "rpc", "events", "rows", "tables", "client"),
    never=SQL | STORE,
)
ROWS: Final = Part(
    name="rows",
    modules=("store", "*_store", "*_rows"),
    holds="statements and rows; they implement the protocols of the use cases",
    needed=True,
    without=_parts("app", "rpc", "events", "client"),
    never=STUBS,
)
TABLES: Final = Part(
    name="tables",
    modules=("tables",),
    holds="the tables as statements see them; `migrations/versions/` makes them",
    needed=True,
    without=_parts("app", "rpc", "events", "scope", "use case", "client", "rows", "wire")
    | _parts("domain", "errors"),
    never=STORE | STUBS,
)
WIRE: Final = Part(
    name="wire",
    modules=("wire", "*_wire"),
    holds="messages of the contract as domain objects, and back",
    needed=True,
    without=_parts("app", "rpc", "events", "rows", "tables", "client"),
    never=SQL | STORE | STUBS,
)
DOMAIN: Final = Part(
    name="domain",
    modules=("domain",),
    holds="pure rules; so does any other module whose docstring ends with “Pure rules.”",
    needed=True,
    without=_parts("app", "rpc", "events", "scope", "client", "rows", "tables", "wire"),
    never=INPUT_AND_OUTPUT,
)
ERRORS: Final = Part(
    name="errors",
    modules=("errors",),
    holds="the reasons: code, English, Chinese, next step",
    needed=True,
    without=_parts("app", "rpc", "events", "scope", "use case", "client", "rows", "tables")
    | _parts("wire", "domain"),
    never=SQL | STORE | STUBS,
)
CLIENT: Final = Part(
    name="client",
    holds="another service as this centre sees it: whatever else imports a generated stub",
    without=_parts("app", "rpc", "events", "rows", "tables"),
    never=SQL | STORE,
)
USE_CASE: Final = Part(
    name="use case",
    modules=("service",),
    holds="use cases, and the protocols of what they need; in a large centre several modules, "
    "each named after what it is about",
    needed=True,
    without=_parts("app", "rpc", "tables"),
    never=SQL | STUBS,
)

PARTS: Final = (
    *(FACE, APP, RPC, EVENTS, SCOPE, USE_CASE, CLIENT),
    *(ROWS, TABLES, WIRE, DOMAIN, ERRORS),
)

PURE: Final = re.compile(r"Pure (rules|functions)\b")
"""In the first line of its docstring: a module belongs to the domain, whatever its name."""

COMPANIONS: Final = (
    "protos/engine/{center}/v1/{center}.proto",
    "docs/centers/{center}.md",
    "tests/unit/centers/{center}/test_*.py",
    "tests/integration/test_{center}_*.py",
    "centers/{center}/migrations/versions/0001_*.py",
)
"""What there is beside the package, as shell patterns."""
