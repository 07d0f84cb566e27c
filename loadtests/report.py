"""What a load run counted, and whether it held."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

MAX_ERROR_RATIO = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One sort of request; times in milliseconds."""

    kind: str
    name: str
    requests: int
    failures: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run.

    `made` counts the requests of each kind of user, 0 for those that made none.
    `failed` tells what the failures were; `crashed` has the exceptions that ended
    a user's turn and belong to no request.
    """

    lines: Sequence[Line] = ()
    made: Mapping[str, int] = field(default_factory=dict)
    failed: Sequence[str] = ()
    crashed: Sequence[str] = ()

    @classmethod
    def collect(cls, environment: Any) -> Self:
        """Read a locust environment whose run has ended."""
        stats = environment.stats
        return cls(
            lines=[_line(entry) for _, entry in sorted(stats.entries.items())],
            made={
                kind.__name__: environment.made[kind.__name__] for kind in environment.user_classes
            },
            failed=[
                f"{e.occurrences} x {e.method} {e.name}: {e.error}" for e in stats.errors.values()
            ],
            crashed=[f"{e['count']} x {e['msg']}" for e in environment.runner.exceptions.values()],
        )

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it back; a missing file is a run that counted nothing."""
        if not path.exists():
            return cls()
        fields = json.loads(path.read_text())
        return cls(**{**fields, "lines": [Line(**line) for line in fields["lines"]]})

    def complaints(self) -> list[str]:
        """What is wrong with the run; nothing when it held."""
        found = [f"no request by {user}" for user, made in self.made.items() if not made]
        if not self.made:
            found.append("no user made a request")
        requests = sum(line.requests for line in self.lines)
        failures = sum(line.failures for line in self.lines)
        if failures > requests * MAX_ERROR_RATIO:
            allowed = f"{MAX_ERROR_RATIO:.1%} are allowed"
            found.append(f"{failures} of {requests} requests failed, {allowed}")
        return [*found, *(f"a user crashed: {error}" for error in self.crashed)]

    def __str__(self) -> str:
        """The lines as a table, and under it what failed."""
        head = ("", "request", "count", "failed", "per s", "p50 ms", "p99 ms")
        rows = [
            "{:4} {:56} {:>8} {:>7} {:>8} {:>8} {:>8}".format(*head),
            *(
                f"{x.kind:4} {x.name:56} {x.requests:8} {x.failures:7} "
                f"{x.rate_per_s:8.1f} {x.p50_ms:8.1f} {x.p99_ms:8.1f}"
                for x in self.lines
            ),
        ]
        return "\n".join([*rows, *self.failed])


def _line(entry: Any) -> Line:
    """A `locust.stats.StatsEntry`."""
    return Line(
        kind=entry.method,
        name=entry.name,
        requests=entry.num_requests,
        failures=entry.num_failures,
        rate_per_s=entry.total_rps,
        p50_ms=entry.get_response_time_percentile(0.5),
        p99_ms=entry.get_response_time_percentile(0.99),
    )
