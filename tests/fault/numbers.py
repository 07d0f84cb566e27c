"""Whether every number of a GAPLESS sequence is used or accounted for.

Takers note what they confirmed; the service's report tells of all that is not
confirmed. What a taker confirmed may be nowhere in it but among the numbers in
doubt, after the store was put back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.sequencer.v1 import gapless_pb2 as pb
from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub
from sequencer.sdk import Link
from tests.fault.ranges import Taken

PAGE = 1_000
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the service says when all is over."""

    counts: dict[int, int]
    gaps: Sequence[pb.NumberRun]

    @classmethod
    def of(cls, link: Link, name: str) -> Report:
        """The report of a sequence that nobody uses any more."""
        request = pb.GetGapReportRequest(name=name, page_size=PAGE)
        gaps: list[pb.NumberRun] = []
        while True:
            found: Any = link.call(name, _report, request, timeout_s=TIMEOUT_S)
            gaps += found.gaps
            if not found.next_page_token:
                return cls(counts={one.state: one.count for one in found.counts}, gaps=gaps)
            request.page_token = found.next_page_token


def unaccounted(taken: Taken, report: Report) -> list[str]:
    """Numbers that were used and are said not to be, and numbers of which nothing is said."""
    used = taken.rows[np.argsort(taken.rows[:, 3], kind="stable"), 3:5]
    wrong = [
        f"used, and {pb.NumberState.Name(run.state)}: {run.first} to {run.last}"
        for run in report.gaps
        if run.state != pb.NUMBER_STATE_LOST_TRACK and _overlaps(used, run)
    ]
    told = sum(run.size for run in report.gaps)
    issued = sum(report.counts.values())
    if told + report.counts.get(pb.NUMBER_STATE_CONFIRMED, 0) != issued:
        wrong.append(f"{issued} issued, of which the report tells of {told}")
    if len(used) and used[-1, 1] > issued:
        wrong.append(f"used up to {used[-1, 1]}, and {issued} issued")
    in_doubt = [run for run in report.gaps if run.state == pb.NUMBER_STATE_LOST_TRACK]
    known = report.counts.get(pb.NUMBER_STATE_CONFIRMED, 0) + sum(run.size for run in in_doubt)
    if (numbers := int((used[:, 1] - used[:, 0] + 1).sum())) > known:
        wrong.append(f"{numbers} used, and {known} said to be used or in doubt")
    return wrong


def _overlaps(used: Any, run: pb.NumberRun) -> bool:
    """Whether one of some rising ranges has a number of a run."""
    place = int(np.searchsorted(used[:, 0], run.last, side="right"))
    return place > 0 and int(used[place - 1, 1]) >= run.first


def _report(channel: Any) -> Any:
    return GaplessServiceStub(channel).GetGapReport
