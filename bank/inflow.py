"""Scenario A1, "large inflow within 24 hours": who plays which part, and what must come of it.

`EXPECTED` is the scenario's truth. `cast` gives each of 10,000 customers a part
such that a platform which keeps its rules finds exactly these numbers. What
moves money is planted here; what decides is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from bank.errors import BankError

CUSTOMERS: Final = 10_000
INJECTED: Final = 10_000
DUPLICATES: Final = 300
UNIQUE: Final = INJECTED - DUPLICATES

ABSOLUTE_FEN: Final = 5_000_000
"""An inflow counts from 50,000 yuan…"""
OWN_MULTIPLE: Final = 3
"""…and from three times the 95th percentile of the customer's own."""
HISTORY: Final = 3
"""Inflows that each customer had before: as few as make a threshold of his own."""
HISTORY_DAYS: Final = 85

EXCLUDED: Final = {"LOAN_DISBURSEMENT": 500, "INTERNAL_OWN": 300, "REDEMPTION": 400}
COUNTED: Final = ("OWN_OTHER_BANK", "SALARY", "THIRD_PARTY")

EXPECTED: Final[Mapping[str, int]] = {
    "injected": INJECTED,
    "unique": UNIQUE,
    "above_threshold": 2_580,
    "excluded_loan": 500,
    "excluded_internal": 700,
    "reversed_before": 80,
    "opportunities": 1_300,
    "held_out": 130,
    "treated": 1_170,
    "opted_out": 72,
    "same_objective": 48,
    "tasks": 1_050,
    "tasks_rm": 700,
    "tasks_do": 290,
    "tasks_robot": 60,
    "reversed_after": 25,
    "live": 1_025,
    "receipts": 900,
    "admitted": 825,
    "deferred": 60,
    "denied_cap": 15,
    "wecom_created": 520,
    "wecom_confirmed": 480,
    "wecom_delivered": 460,
    "calls": 305,
    "effective_calls": 138,
    "reached": 598,
    "intent": 179,
    "claimed": 150,
    "granted": 120,
    "wait_listed": 30,
    "converted": 95,
    "inflow_fen": 1_900_000_000,
    "split_customers": 12,
    "converted_holdout": 4,
}
"""What must be found, by row."""

STOCK: Final = EXPECTED["granted"]
SHORT_CALLS: Final = 80
"""Calls that were answered but ended within a minute; the rest of the others rang in vain."""

MANAGERS: Final = 8
BRANCHES: Final = 4
AGENT_IDS: Final = (9_001, 9_002)
ROBOT_ID: Final = 9_801

HeldOut = Callable[[str, int], bool]
"""Whether a salt holds a customer out: the platform's own draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflow:
    """Money that comes in: to whom, how much, of what class."""

    customer_id: int
    amount_fen: int
    money_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who looks after a customer; `assistant_id` has 30 % of him, 0 for none."""

    staff_id: int
    branch_id: int
    assistant_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The parts, by customer token. Tuples of tokens are in no order that matters.

    `history` has the customer's earlier inflows, oldest first. `inflows` are the
    unique events; the customers of `repeated` send theirs twice. `wecom`, `calls`,
    `deferred` and `denied` together are those who are attempted.
    """

    salt: str
    owners: Mapping[int, Owner]
    history: Mapping[int, Sequence[int]]
    inflows: Sequence[Inflow]
    repeated: frozenset[int]
    reversed_before: frozenset[int]
    opted_out: tuple[int, ...]
    same_objective: tuple[int, ...]
    reversed_after: tuple[int, ...]
    wecom: tuple[int, ...]
    wecom_confirmed: frozenset[int]
    wecom_unfriended: frozenset[int]
    calls: tuple[int, ...]
    talk_s: Mapping[int, int]
    deferred: tuple[int, ...]
    denied: tuple[int, ...]
    intent: tuple[int, ...]
    claims: tuple[int, ...]
    results: Sequence[Inflow]
    holdout_results: Sequence[Inflow]

    @property
    def reached(self) -> frozenset[int]:
        """Who got the message, or talked for a minute."""
        talked = {token for token, seconds in self.talk_s.items() if seconds >= 60}
        return frozenset((self.wecom_confirmed - self.wecom_unfriended) | talked)


_Tasked = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Customers with a task on a manager's desk, an agent's, a robot's."""


class _Deck:
    """Customers of a group, dealt one part after another, each once."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._rest = list(tokens)

    def deal(self, count: int) -> tuple[int, ...]:
        """So many of those who have no part yet."""
        if count > len(self._rest):
            raise BankError(f"the cast is {count - len(self._rest)} customers short")
        dealt, self._rest = self._rest[:count], self._rest[count:]
        return tuple(dealt)


def cast(tokens: Sequence[int], held_out: HeldOut, *, seed: int) -> Cast:
    """Give 10,000 customers their parts; the same for the same arguments.

    Args:
        tokens: the customers, all different.
        held_out: the platform's draw; a salt is sought with which it holds out exactly 130.
        seed: of what is drawn here.

    Raises:
        BankError: there are not 10,000 different tokens, or no salt was found.
    """
    if len(set(tokens)) != CUSTOMERS:
        raise BankError(f"the scenario needs {CUSTOMERS:,} different customers")
    random = Random(seed)  # noqa: S311 - a fixture
    shuffled = sorted(tokens)
    random.shuffle(shuffled)
    all_ = _Deck(shuffled)
    chosen = all_.deal(EXPECTED["opportunities"])
    salt = _salt(chosen, held_out)
    left_alone = tuple(token for token in chosen if held_out(salt, token))
    treated = _Deck([token for token in chosen if not held_out(salt, token)])
    opted_out = treated.deal(EXPECTED["opted_out"])
    same_objective = treated.deal(EXPECTED["same_objective"])
    by_manager = treated.deal(EXPECTED["tasks_rm"])
    by_agent = treated.deal(EXPECTED["tasks_do"])
    by_robot = treated.deal(EXPECTED["tasks_robot"])
    tasked = (by_manager, by_agent, by_robot)
    desk = _desk(tasked, random)
    intent = desk.reached[: EXPECTED["intent"]]
    converted = (
        *intent[:80],
        *desk.reached[EXPECTED["intent"] :][:10],
        *opted_out[: EXPECTED["converted"] - 90],
    )
    splits = tuple(token for token in intent[:80] if token in set(by_manager))
    owners = _owners(shuffled, tasked, splits[: EXPECTED["split_customers"]], random)
    excluded = {name: all_.deal(count) for name, count in EXCLUDED.items()}
    reversed_before = all_.deal(EXPECTED["reversed_before"])
    above = _classes(chosen, excluded, reversed_before, random)
    below = all_.deal(UNIQUE - EXPECTED["above_threshold"])
    history = {token: _history(random) for token in (*above, *below)}
    inflows = [
        *(_above(token, name, history[token], random) for token, name in above.items()),
        *(_below(token, history[token], random) for token in below),
    ]
    random.shuffle(inflows)
    return Cast(
        salt=salt,
        owners=owners,
        history=history,
        inflows=inflows,
        repeated=frozenset(random.sample([i.customer_id for i in inflows], DUPLICATES)),
        reversed_before=frozenset(reversed_before),
        opted_out=opted_out,
        same_objective=same_objective,
        reversed_after=desk.reversed_after,
        wecom=desk.wecom,
        wecom_confirmed=frozenset(desk.wecom[: EXPECTED["wecom_confirmed"]]),
        wecom_unfriended=frozenset(
            desk.wecom[EXPECTED["wecom_delivered"] : EXPECTED["wecom_confirmed"]]
        ),
        calls=desk.calls,
        talk_s=desk.talk_s,
        deferred=desk.deferred,
        denied=desk.denied,
        intent=intent,
        claims=intent[: EXPECTED["claimed"]],
        results=_results(converted, EXPECTED["inflow_fen"], random),
        holdout_results=_results(left_alone[: EXPECTED["converted_holdout"]], 80_000_000, random),
    )


def branch_of(manager: int) -> int:
    """The branch of a relationship manager of a bank of scale S."""
    return (manager - 1) % BRANCHES + 1


def _salt(chosen: Sequence[int], held_out: HeldOut) -> str:
    for attempt in range(10_000):
        salt = f"inflow-{attempt}"
        if sum(held_out(salt, token) for token in chosen) == EXPECTED["held_out"]:
            return salt
    raise BankError(f"no salt holds out exactly {EXPECTED['held_out']} customers")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What happens to the customers with a task."""

    reversed_after: tuple[int, ...]
    wecom: tuple[int, ...]
    calls: tuple[int, ...]
    talk_s: Mapping[int, int]
    deferred: tuple[int, ...]
    denied: tuple[int, ...]
    reached: tuple[int, ...]


def _desk(tasked: _Tasked, random: Random) -> _Desk:
    by_manager, by_agent, by_robot = tasked
    managers = _Deck(by_manager)
    reversed_after = managers.deal(EXPECTED["reversed_after"])
    human = [*managers.deal(len(by_manager) - len(reversed_after)), *by_agent]
    random.shuffle(human)
    people = _Deck(human)
    wecom = people.deal(EXPECTED["wecom_created"])
    calls = [*by_robot, *people.deal(EXPECTED["calls"] - len(by_robot))]
    random.shuffle(calls)
    effective = calls[: EXPECTED["effective_calls"]]
    short = calls[EXPECTED["effective_calls"] :][:SHORT_CALLS]
    talk_s = {token: random.randint(60, 600) for token in effective}
    talk_s |= {token: random.randint(3, 59) for token in short}
    reached = [*wecom[: EXPECTED["wecom_delivered"]], *effective]
    random.shuffle(reached)
    return _Desk(
        reversed_after=reversed_after,
        wecom=wecom,
        calls=tuple(calls),
        talk_s=talk_s,
        deferred=people.deal(EXPECTED["deferred"]),
        denied=people.deal(EXPECTED["denied_cap"]),
        reached=tuple(reached),
    )


def _owners(
    tokens: Sequence[int], tasked: _Tasked, splits: Sequence[int], random: Random
) -> Mapping[int, Owner]:
    by_manager, by_agent, by_robot = tasked
    owners = {token: _manager(random.randint(1, MANAGERS)) for token in tokens}
    owners |= {token: _manager(1 + i % MANAGERS) for i, token in enumerate(by_manager)}
    for i, token in enumerate(by_agent):
        owners[token] = Owner(staff_id=AGENT_IDS[i % len(AGENT_IDS)], branch_id=0)
    owners |= {token: Owner(staff_id=ROBOT_ID, branch_id=0) for token in by_robot}
    for token in splits:
        owner = owners[token]
        assistant = (owner.staff_id + BRANCHES - 1) % MANAGERS + 1  # of the same branch
        owners[token] = Owner(
            staff_id=owner.staff_id, branch_id=owner.branch_id, assistant_id=assistant
        )
    return owners


def _manager(number: int) -> Owner:
    return Owner(staff_id=number, branch_id=branch_of(number))


def _classes(
    chosen: Sequence[int],
    excluded: Mapping[str, Sequence[int]],
    reversed_before: Sequence[int],
    random: Random,
) -> dict[int, str]:
    """Everybody above the threshold, with the class of his money."""
    classes = {token: random.choice(COUNTED) for token in (*chosen, *reversed_before)}
    for name, tokens in excluded.items():
        classes |= dict.fromkeys(tokens, name)
    return classes


def _history(random: Random) -> tuple[int, ...]:
    """Earlier inflows of one customer, in fen; the largest is his 95th percentile."""
    usual = int(random.lognormvariate(13.2, 0.9))  # around 5,400 yuan
    return tuple(max(100, int(usual * random.uniform(0.4, 1.0))) for _ in range(HISTORY))


def _above(token: int, name: str, history: Sequence[int], random: Random) -> Inflow:
    least = max(ABSOLUTE_FEN, OWN_MULTIPLE * max(history))
    amount = int(least * random.uniform(1.0, 6.0)) + 1
    return Inflow(customer_id=token, amount_fen=amount, money_class=name)


def _below(token: int, history: Sequence[int], random: Random) -> Inflow:
    """Below the absolute threshold, or above it and below his own."""
    own = OWN_MULTIPLE * max(history)
    if own > ABSOLUTE_FEN:
        amount = random.randint(ABSOLUTE_FEN, own - 1)
    else:
        amount = random.randint(1_000, ABSOLUTE_FEN - 1)
    return Inflow(customer_id=token, amount_fen=amount, money_class=random.choice(COUNTED))


def _results(tokens: Sequence[int], total_fen: int, random: Random) -> Sequence[Inflow]:
    """Money for each of the customers that sums to the total, none of it round."""
    weights = [random.uniform(0.2, 3.0) for _ in tokens]
    amounts = [int(total_fen * weight / sum(weights)) | 1 for weight in weights]
    amounts[-1] += total_fen - sum(amounts)
    return [
        Inflow(customer_id=token, amount_fen=amount, money_class="OWN_OTHER_BANK")
        for token, amount in zip(tokens, amounts, strict=True)
    ]
