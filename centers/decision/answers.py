"""Use cases that read: triggers, statistics, and why a model fired on an event or did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from centers.decision import explaining
from centers.decision.decision_rows import Decided
from centers.decision.domain import Explained, Fact, Trigger, Verdict
from centers.decision.errors import DecisionReason
from centers.decision.event_types import AMOUNT
from centers.decision.launch_rows import Launched
from centers.decision.store import DecisionStore
from centers.decision.tally import statistics
from engine.decision.v1 import decision_pb2 as pb
from engine.mesh.v1.context_pb2 import ChainIds
from mesh import audit
from mesh.definitions import Definitions
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest

LATEST = 20
"""Events of a customer that `why_not` tells about."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evidence:
    """What a trigger is about. It has no repr: it holds an amount."""

    trigger: Trigger
    amount_fen: int
    texts: Mapping[str, str]


class Answers:
    """Answers what models did."""

    def __init__(self, store: DecisionStore, definitions: Definitions[pb.Model]) -> None:
        self._store = store
        self._definitions = definitions

    async def statistics(self, model_id: int, version: int) -> pb.Statistics:
        """What became of the events that a version saw; 0 for the one launched last.

        Raises:
            MeshError: DEFINITION_NOT_FOUND or MODEL_NEVER_LAUNCHED.
        """
        launched = await self._launched(model_id, version)
        return statistics(await self._store.decisions.counts(model_id, launched.version))

    async def triggers(self, model_id: int, request: PageRequest) -> Page[Trigger]:
        """A page of a model's triggers, newest first.

        Raises:
            MeshError: DEFINITION_NOT_FOUND or PAGE_TOKEN_INVALID.
        """
        await self._definitions.get(model_id)
        found = await self._store.triggers.newest(
            model_id, after=request.after_numbers(2), limit=request.limit
        )
        return request.page(found, lambda each: (each.create_us, each.trigger_id))

    async def evidence(self, trigger_id: int) -> Evidence:
        """What a trigger is about, its amount included.

        Raises:
            MeshError: TRIGGER_NOT_FOUND.
        """
        trigger = await self._store.triggers.trigger(trigger_id)
        if trigger is None:
            raise MeshError(DecisionReason.TRIGGER_NOT_FOUND)
        audit.note(customer_id=trigger.customer_id, chain=ChainIds(trigger_id=trigger_id))
        fact = await self._store.histories.event(trigger.event_type, trigger.business_key)
        assert fact is not None, "events that fired are kept"
        launched = await self._launched(trigger.model_id, trigger.model_version)
        return _evidence(trigger, fact, launched)

    async def why_not(self, model_id: int, customer_id: int) -> Sequence[Explained]:
        """Decisions on the customer's latest events of the model's type, newest first.

        The type is that of the version launched last, or else of the newest one.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        body = (await self._definitions.get(model_id)).body
        versions = {each.version: each for each in await self._store.launches.of_model(model_id)}
        name = versions[max(versions)].rule.event_type.name if versions else body.event_type
        facts = await self._store.histories.latest(name, customer_id, LATEST)
        keys = [fact.business_key for fact in facts]
        decided = await self._store.decisions.on_events(model_id, keys)
        return [_explained(fact, decided.get(fact.business_key), versions) for fact in facts]

    async def _launched(self, model_id: int, version: int) -> Launched:
        await self._definitions.get(model_id, version)
        for launched in await self._store.launches.of_model(model_id):
            if version in (0, launched.version):
                return launched
        raise MeshError(DecisionReason.MODEL_NEVER_LAUNCHED)


def _evidence(trigger: Trigger, fact: Fact, launched: Launched) -> Evidence:
    rule = launched.rule
    measure = rule.measure if rule.measure in rule.event_type.amounts else AMOUNT
    amount = fact.attributes.get(measure, 0)
    texts = {name: value for name, value in fact.attributes.items() if isinstance(value, str)}
    return Evidence(
        trigger=trigger, amount_fen=amount if isinstance(amount, int) else 0, texts=texts
    )


def _explained(fact: Fact, decided: Decided | None, versions: Mapping[int, Launched]) -> Explained:
    if decided is None:
        verdict, version, trigger_id = Verdict.NOT_LIVE, 0, 0
        path: tuple[str, ...] = (explaining.NOT_LIVE,)
    else:
        verdict, version = decided.verdict, decided.model_version
        trigger_id = decided.trigger_id
        rule = versions[version].rule
        path = tuple(explaining.path(rule, fact, verdict, decided.earlier))
    return Explained(
        business_key=fact.business_key,
        event_type=fact.event_type,
        occurred_us=fact.occurred_us,
        verdict=verdict,
        path=path,
        trigger_id=trigger_id,
        model_version=version,
    )
