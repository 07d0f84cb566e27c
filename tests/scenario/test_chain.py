"""The chain is whole: from the credit back to the event, in every row and on the bus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

import centers
from engine.mesh.v1 import policy_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from engine.mesh.v1.event_pb2 import AUDIT_OUTCOME_DONE, Event
from engine.performance.v1 import performance_pb2
from loadtests.deployment import Platform
from mesh import contract
from tests.scenario.links import LINKS, SOURCES, Links, before

pytestmark = pytest.mark.timeout(300)

FOLLOWED: Final = 20
Made: TypeAlias = Mapping[str, Mapping[int, Any]]

CHAIN_TABLES: Final = {
    ("decision", "model_trigger"),
    ("decision", "decision"),
    ("action", "opportunity"),
    ("action", "task"),
    ("action", "task_owner"),
    ("reach", "task"),
    ("reach", "contact"),
    ("wecom", "message_task"),
    ("benefits", "task"),
    ("benefits", "benefit_grant"),
    ("performance", "opportunity"),
    ("performance", "task"),
    ("performance", "contact"),
    ("performance", "result"),
    ("performance", "credit"),
    ("review", "opportunity"),
    ("review", "task"),
    ("review", "contact"),
    ("review", "conversion"),
    ("review", "behavior"),
}
"""Tables in which the followed customers must be found."""

TOPICS: Final = ("decision", "action", "reach", "wecom", "benefits", "performance")
OWN: Final = {
    "engine.decision.v1.TriggerFired": "trigger_id",
    "engine.decision.v1.TriggerReversed": "trigger_id",
    "engine.action.v1.SceneChanged": "scene_version",
    "engine.action.v1.OpportunityChanged": "opportunity_id",
    "engine.action.v1.TaskChanged": "task_id",
    "engine.reach.v1.ContactChanged": "contact_id",
    "engine.reach.v1.PreferenceChanged": "",
    "engine.wecom.v1.MessageTaskChanged": "contact_id",
    "engine.benefits.v1.GrantChanged": "grant_id",
    "engine.performance.v1.ResultRecorded": "",
}
"""The link that an event tells of; a result is looked at apart, for it may be nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is read once of a platform on which the loop was played."""

    links: Links
    events: list[Event]
    made: Made

    @property
    def credits(self) -> list[Any]:
        """A credit each of some customers who were contacted and whose money came."""
        first: dict[int, Any] = {}
        for _, credit in sorted(self.made["credit_id"].items()):
            if credit["contact_id"] and credit["sign"] > 0:
                first.setdefault(credit["customer_id"], credit)
        return list(first.values())[:FOLLOWED]


@pytest.fixture(scope="module")
def run(platform: Platform, played: Mapping[str, Any]) -> Run:
    assert played
    links = Links(platform)
    events = list(links.events())  # before the rows: what an event tells of was committed
    return Run(links=links, events=events, made={link: links.made(link) for link in SOURCES})


def test_credits_lead_back_to_the_event(run: Run) -> None:
    """Credit, contact, task, opportunity, trigger, event: each names the one before it."""
    assert len(run.credits) == FOLLOWED
    for credit in run.credits:
        customer_id = credit["customer_id"]
        for link in ("contact_id", "task_id", "opportunity_id"):
            row = run.made[link][credit[link]]
            assert row["customer_id"] == customer_id
            assert {name: row[name] for name in before(link)} == {
                name: credit[name] for name in before(link)
            }
        (trigger,) = run.links.rows(
            "decision",
            "SELECT * FROM model_trigger WHERE trigger_id = ? AND customer_id = ?",
            credit["trigger_id"],
            customer_id,
        )
        (event,) = run.links.rows(
            "decision",
            "SELECT * FROM business_event WHERE event_type = ? AND business_key = ?",
            trigger["event_type"],
            trigger["business_key"],
        )
        opportunity = run.made["opportunity_id"][credit["opportunity_id"]]
        assert event["customer_id"] == customer_id
        assert event["occurred_us"] == trigger["occurred_us"] == opportunity["occurred_us"]


def test_the_bus_tells_the_chain_in_its_order(run: Run) -> None:
    """Of each followed customer: hit, opportunity, task, contact."""
    told: dict[tuple[str, int], int] = {}
    for place, event in enumerate(run.events):
        own = OWN.get(event.type, "")
        if own:
            told.setdefault((own, getattr(event.chain, own)), place)
    for credit in run.credits:
        places = [told[(link, credit[link])] for link in LINKS[1:5]]
        assert places == sorted(places)


def test_every_row_of_the_chain_names_the_links_before_it(run: Run) -> None:
    """In every table of every centre that names one of them."""
    found = set()
    for credit in run.credits:
        allowed = _chain(run.made, credit)
        for one in run.links.part_of(allowed):
            table = one.table
            found.add((table.centre, table.name))
            needed = before(table.key) if table.key in LINKS else LINKS[:5]
            for link, value in one.row.items():
                named = value or link in needed
                assert not named or value in allowed[link], (one, link)
    assert found >= CHAIN_TABLES


def test_links_agree_in_all_rows(run: Run) -> None:
    """Not only of those who were followed: whoever names a link names what led to it."""
    for link, rows in run.made.items():
        for row in rows.values():
            must_agree(run.made, {name: row[name] for name in before(link)}, (link, row[link]))


def test_every_event_names_the_links_that_are_known(run: Run) -> None:
    """Those of the row that it tells of, and its own."""
    seen = set()
    for event in run.events:
        if event.topic not in TOPICS:
            continue
        seen.add(event.type)
        own = OWN[event.type]
        chain = _said(event.chain)
        if own:
            assert chain[own], event
        must_agree(run.made, chain, event.event_id)
    assert seen == OWN.keys()


def test_every_result_names_its_cause(run: Run) -> None:
    """The last that is told of it has the links of its row, and a credit when there is one."""
    last = {}
    for event in run.events:
        if event.type == performance_pb2.ResultRecorded.DESCRIPTOR.full_name:
            told = performance_pb2.ResultRecorded.FromString(event.payload)
            last[told.result_id] = (told, _said(event.chain))
    rows = {row["result_id"]: row for row in run.links.rows("performance", "SELECT * FROM result")}
    assert len(last) > FOLLOWED
    for result_id, (told, chain) in last.items():
        row = rows[result_id]
        assert {link: chain[link] for link in LINKS[:5]} == {link: row[link] for link in LINKS[:5]}
        assert bool(told.credit_ids) == bool(chain["credit_id"])


def test_x13_every_record_names_the_links_that_are_known(run: Run) -> None:
    """Of what was done for a task, a contact, a grant or a credit."""
    count = 0
    for record in run.links.behaviors():
        if record.outcome == AUDIT_OUTCOME_DONE:
            count += bool(record.chain.task_id)
            must_agree(run.made, _said(record.chain), record.verb)
            if record.verb.startswith("/engine.action.v1.SceneService/"):
                assert record.chain.scene_version, record.verb
    assert count > FOLLOWED


def test_x7_no_event_holds_an_amount(run: Run) -> None:
    """Nor anything else that the contracts call personal data."""
    for folder in sorted(Path(next(iter(centers.__path__))).glob("*/app.py")):
        import_module(f"engine.{folder.parent.name}.v1.{folder.parent.name}_pb2")
    pool = descriptor_pool.Default()
    for event in run.events:
        kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(event.type))
        assert list(sensitive(kind.FromString(event.payload))) == [], event.type


def test_an_amount_in_a_message_is_found() -> None:
    """However deep it lies: else the test above would see none."""
    answer = performance_pb2.ListCreditsResponse()
    answer.credits.add(amount_fen=1)
    assert list(sensitive(answer)) == [policy_pb2.SENSITIVITY_AMOUNT]
    assert list(sensitive(performance_pb2.ListCreditsResponse())) == []


def must_agree(made: Made, chain: Mapping[str, int], what: object) -> None:
    """Each link that is named was made, and what led to it is named as well."""
    for link in SOURCES:
        if chain.get(link):
            row = made[link][chain[link]]
            led = {name: row[name] for name in before(link)}
            assert {name: chain[name] for name in before(link)} == led, what


def sensitive(message: Message) -> Iterator[policy_pb2.Sensitivity.ValueType]:
    """Kinds of personal data in a message."""
    if not _may_be_sensitive(message.DESCRIPTOR):
        return
    for field, value in message.ListFields():
        kind = contract.sensitivity(field)
        if kind:
            yield kind
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                yield from sensitive(inner)


_known: dict[str, bool] = {}


def _may_be_sensitive(kind: Any) -> bool:
    """Whether any field within has a sensitivity; worked out once."""
    if kind.full_name not in _known:
        _known[kind.full_name] = False  # within itself it finds nothing new
        _known[kind.full_name] = any(
            contract.sensitivity(field)
            or (field.message_type is not None and _may_be_sensitive(field.message_type))
            for field in kind.fields
        )
    return _known[kind.full_name]


def _said(chain: ChainIds) -> Mapping[str, int]:
    return {link: getattr(chain, link) for link in LINKS}


def _chain(made: Made, credit: Any) -> Mapping[str, frozenset[int]]:
    """All ids that belong to the opportunity of a credit."""
    opportunity_id = credit["opportunity_id"]
    after = {
        link: frozenset(
            row[link] for row in rows.values() if row["opportunity_id"] == opportunity_id
        )
        for link, rows in made.items()
    }
    led = {link: frozenset({credit[link]}) for link in LINKS[:3]}
    return {**after, **led}
