"""Counts of what became of events, live and in backtests. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from centers.decision.domain import Judgement, Verdict
from centers.decision.event_types import CLASS
from engine.decision.v1 import decision_pb2 as pb

RECEIVED = "received"
DUPLICATES = "duplicates"
REVERSED_LATER = "reversed_later"
_EXCLUDED = "excluded."

_NAMES = {verdict: f"verdict.{verdict.name}" for verdict in Verdict}
"""The names under which verdicts are counted."""

_ABOVE = frozenset(
    {
        Verdict.FIRED,
        Verdict.EXCLUDED_CLASS,
        Verdict.REVERSED,
        Verdict.COOLDOWN,
        Verdict.WAITING,
        Verdict.ENDED_BY_EVENT,
        Verdict.NOT_LIVE,
    }
)
"""Verdicts on events above both thresholds. NOT_LIVE is counted for waits alone that ran
out while the model was paused."""

Tally = Counter[str]
"""Changes of counts by name; the names are the database's."""


def of_judgements(judgements: Iterable[Judgement]) -> Tally:
    """The counts that decisions make."""
    tally: Tally = Counter()
    for judgement in judgements:
        count(tally, judgement)
    return tally


def count(tally: Tally, judgement: Judgement) -> None:
    """Add a decision to the counts."""
    tally[_NAMES[judgement.verdict]] += 1
    if judgement.verdict is Verdict.EXCLUDED_CLASS:
        tally[f"{_EXCLUDED}{judgement.fact.attributes[CLASS]}"] += 1


def moved(before: Verdict, after: Verdict) -> Tally:
    """The change that another verdict on an event makes."""
    return Counter({_NAMES[before]: -1, _NAMES[after]: 1})


def statistics(counts: Mapping[str, int]) -> pb.Statistics:
    """The counts as the contract shows them."""
    verdicts = {verdict: counts.get(_NAMES[verdict], 0) for verdict in Verdict}
    received, duplicates = counts.get(RECEIVED, 0), counts.get(DUPLICATES, 0)
    return pb.Statistics(
        received=received,
        duplicates=duplicates,
        unique=received - duplicates,
        above_threshold=sum(verdicts[verdict] for verdict in _ABOVE),
        verdicts={f"VERDICT_{verdict.name}": n for verdict, n in verdicts.items() if n},
        excluded={
            name.removeprefix(_EXCLUDED): n
            for name, n in counts.items()
            if name.startswith(_EXCLUDED) and n
        },
        reversed_later=counts.get(REVERSED_LATER, 0),
    )
