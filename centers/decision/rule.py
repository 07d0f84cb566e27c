"""A model as it is evaluated, and what its message must keep to become one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.duration_pb2 import Duration

from centers.decision.domain import DAY_US, Fact
from centers.decision.errors import DecisionReason
from centers.decision.event_types import AMOUNT, CLASS, EVENT_TYPES, EventType
from engine.decision.v1 import decision_pb2 as pb
from mesh import expression
from mesh.errors import MeshError, Reason, Violation
from mesh.expression import Compiled, ExpressionError

HISTORY_DAYS: Final = 90
"""Days of history when a model states none."""

WHOLE_BP: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnThreshold:
    """At least `multiple_bp` times the `percentile_bp` of the customer's own earlier events."""

    percentile_bp: int
    multiple_bp: int
    history_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Events of this type must stay away for so long."""

    event_type: str
    within_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A version of a model, ready to be evaluated. The same facts always come to the same."""

    event_type: EventType
    filter: Compiled | None
    measure: str
    at_least: int
    own: OwnThreshold | None
    excluded: frozenset[str]
    cooldown_us: int
    absence: Absence | None
    scene_id: int

    @property
    def lead_us(self) -> int:
        """How far back before an event its evaluation looks."""
        return self.own.history_us if self.own else 0

    def window_key(self, occurred_us: int) -> int:
        """Number of the window that a time lies in; windows begin with 1970, in UTC."""
        return occurred_us // self.cooldown_us

    def due_us(self, fact: Fact) -> int:
        """When the event fires, if the other one stays away until then; at once without absence."""
        return fact.occurred_us + (self.absence.within_us if self.absence else 0)


def rule_of(model: pb.Model) -> Rule:
    """The model, ready to be evaluated.

    Raises:
        MeshError: EVENT_TYPE_UNKNOWN, FIELD_UNKNOWN, FILTER_INVALID or MODEL_INVALID, each
            naming the places.
    """
    event_type = EVENT_TYPES.get(model.event_type)
    if event_type is None:
        raise _unknown_type("model.event_type")
    _refuse_faults(model, event_type)
    threshold = model.threshold
    return Rule(
        event_type=event_type,
        filter=_filter(model.filter, event_type),
        measure=threshold.measure or AMOUNT,
        at_least=threshold.at_least,
        own=_own(threshold),
        excluded=frozenset(model.exclusion_classes),
        cooldown_us=_micros(model.cooldown) if model.HasField("cooldown") else DAY_US,
        absence=_absence(model),
        scene_id=model.scene_id,
    )


def _refuse_faults(model: pb.Model, event_type: EventType) -> None:
    for reason, faults in (
        (DecisionReason.FIELD_UNKNOWN, _unknown_fields(model, event_type)),
        (DecisionReason.MODEL_INVALID, _misfits(model, event_type)),
    ):
        violations = list(faults)
        if violations:
            raise _refused(reason, violations)
    if model.HasField("absence") and model.absence.event_type not in EVENT_TYPES:
        raise _unknown_type("model.absence.event_type")


def _unknown_fields(model: pb.Model, event_type: EventType) -> Iterator[Violation]:
    numbers = ", ".join(sorted(event_type.numbers))
    measure = model.threshold.measure
    if measure and measure not in event_type.numbers:
        yield Violation("model.threshold.measure", f"must be one of the numbers {numbers}")
    if model.exclusion_classes and CLASS not in event_type.texts:
        yield Violation("model.exclusion_classes", f"{event_type.name} has no text {CLASS}")


def _misfits(model: pb.Model, event_type: EventType) -> Iterator[Violation]:
    threshold = model.threshold
    measures = threshold.at_least or threshold.own_percentile_bp
    if measures and not threshold.measure and AMOUNT not in event_type.numbers:
        yield Violation("model.threshold.measure", f"name a number: there is no {AMOUNT}")
    if bool(threshold.own_percentile_bp) != bool(threshold.own_multiple_bp):
        yield Violation(
            "model.threshold.own_multiple_bp", "goes with own_percentile_bp, and it with this"
        )
    known = event_type.codes.get(CLASS)
    for index, name in enumerate(model.exclusion_classes):
        if known and name not in known:
            listed = ", ".join(sorted(known))
            yield Violation(f"model.exclusion_classes[{index}]", f"must be one of {listed}")
    for path in ("cooldown", "absence.within"):
        if _is_too_short(model, path):
            yield Violation(f"model.{path}", "must be at least a microsecond")


def _is_too_short(model: pb.Model, path: str) -> bool:
    if path == "cooldown":
        return model.HasField("cooldown") and _micros(model.cooldown) < 1
    return model.HasField("absence") and _micros(model.absence.within) < 1


def _filter(text: str, event_type: EventType) -> Compiled | None:
    if not text.strip():
        return None
    try:
        return expression.compile(expression.parse(text), event_type.catalogue)
    except ExpressionError as error:
        raise MeshError(
            DecisionReason.FILTER_INVALID,
            f"The filter is wrong {error}",
            metadata={"position": str(error.position), "expected": error.expected},
            violations=[error.violation("model.filter")],
        ) from None


def _own(threshold: pb.Threshold) -> OwnThreshold | None:
    if not threshold.own_percentile_bp:
        return None
    return OwnThreshold(
        percentile_bp=threshold.own_percentile_bp,
        multiple_bp=threshold.own_multiple_bp,
        history_us=(threshold.history_days or HISTORY_DAYS) * DAY_US,
    )


def _absence(model: pb.Model) -> Absence | None:
    if not model.HasField("absence"):
        return None
    return Absence(event_type=model.absence.event_type, within_us=_micros(model.absence.within))


def _micros(duration: Duration) -> int:
    return duration.seconds * 1_000_000 + duration.nanos // 1_000


def _unknown_type(place: str) -> MeshError:
    listed = ", ".join(EVENT_TYPES)
    return _refused(
        DecisionReason.EVENT_TYPE_UNKNOWN, [Violation(place, f"must be one of {listed}")]
    )


def _refused(reason: Reason, violations: list[Violation]) -> MeshError:
    first = violations[0]
    return MeshError(reason, f"{first.field}: {first.description}", violations=violations)
