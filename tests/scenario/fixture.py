"""Customers and scenes that acceptance scenarios make for themselves alone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from bank.inflow import MANAGERS, Owner, branch_of
from cli.loop.customers import balanced, bring
from cli.loop.desks import USERNAMES, Desk
from cli.loop.people import People, slices, together, until
from cli.loop.strategies import VIEWED, Strategies, business_event
from engine.action.v1 import action_pb2
from engine.customer.v1 import customer_pb2
from engine.decision.v1 import decision_pb2

FIRST_TOKEN = 9 * 10**17
"""Tokens from here on are nobody's in the Ark."""

SPAN = 10**15
AT_ONCE = 500


def tokens(count: int) -> range:
    """Tokens that no other scenario has."""
    return range(start := FIRST_TOKEN + secrets.randbelow(SPAN), start + count)


def name_of(scenario: str) -> str:
    """A name that no other run of the scenario has; a code, too short for anybody's number."""
    return f"{scenario}-{secrets.token_hex(4)}"


def owner_of(token: int) -> Owner:
    """The relationship manager of such a customer."""
    number = 1 + token % MANAGERS
    return Owner(staff_id=number, branch_id=branch_of(number))


def customers(tokens: Sequence[int]) -> list[customer_pb2.Customer]:
    """Customers of grade C3, each with an owner."""
    return [balanced(token, owner_of(token)) for token in tokens]


class Books:
    """The desks of the relationship managers, who come with `arrive`."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._desks = {n: Desk(people, USERNAMES[n]) for n in range(1, MANAGERS + 1)}

    async def arrive(self) -> Self:
        """Sign them on."""
        await self._people.sign_on([USERNAMES[number] for number in self._desks])
        return self

    def of(self, token: int) -> Desk:
        """The desk of a customer's owner."""
        return self._desks[owner_of(token).staff_id]

    async def tasks(self, scene_id: int, count: int) -> list[action_pb2.Task]:
        """Everybody's open tasks of a scene, once there are `count`; patience is bounded."""
        return await until(lambda: self.open_tasks(scene_id), lambda found: len(found) >= count)

    async def open_tasks(self, scene_id: int) -> list[action_pb2.Task]:
        """Everybody's open tasks of a scene, as they are now."""
        found = await together(self._desks.values(), lambda desk: desk.open_tasks(scene_id))
        return [task for tasks in found for task in tasks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A scene that runs, the model that feeds it, and the channel of its events."""

    scene_id: int
    model_id: int
    backtest_id: int
    version: action_pb2.Scene
    channel: str


async def launch(people: People, scene: action_pb2.Scene) -> Feed:
    """Let the scene run, fed by offers viewed on a channel that has its name."""
    strategies, channel = Strategies(people), scene.name
    scene_id = await strategies.draft_scene(scene)
    model = decision_pb2.Model(name=scene.name, event_type=VIEWED, scene_id=scene_id)
    model.filter = f"has(channel) && channel == '{channel}'"
    model_id, backtest = await strategies.draft_model(model)
    version = await strategies.launch_scene(scene_id, backtest.backtest_id)
    await strategies.launch_model(model_id)
    return Feed(
        scene_id=scene_id,
        model_id=model_id,
        backtest_id=backtest.backtest_id,
        version=version,
        channel=channel,
    )


async def view(people: People, feed: Feed, tokens: Sequence[int]) -> None:
    """Each customer views an offer, on the channel of the feed: one trigger each."""
    now = datetime.now(UTC)
    events = [
        business_event(
            VIEWED,
            f"{feed.channel}-{token}",
            token,
            at=now,
            numbers={"offer_id": token},
            texts={"channel": feed.channel},
        )
        for token in tokens
    ]
    for batch in slices(events, AT_ONCE):
        await Strategies(people).ingest(batch)


async def bring_customers(people: People, count: int) -> range:
    """So many customers of one's own, known to the customer centre."""
    made = tokens(count)
    await bring(people, customers(made))
    return made
