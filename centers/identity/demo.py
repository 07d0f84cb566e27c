"""The users of the demo, whose password everybody knows.

Their staff ids and branches are those of the synthetic bank: relationship
manager i works in branch (i - 1) mod 4 + 1, as in a bank of scale S, and 9001 is
the first agent of direct operations, who works at head office.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from centers.identity.domain import AccountState, User
from centers.identity.passwords import Passwords
from centers.identity.records import Records
from mesh.log import get_logger

PASSWORD: Final = "engine-demo"  # noqa: S105 - known to everybody, refused outside the demo

_HEAD_OFFICE: Final = (
    # username, name, roles, staff id, branch
    ("admin", "管理员 Administrator", ("administrator",), 0, 0),
    ("hq", "总行运营 Head office", ("head-office-operator",), 0, 0),
    ("hq2", "总行运营 Head office 2", ("head-office-operator",), 0, 0),
    ("compliance", "合规 Compliance", ("compliance",), 0, 0),
    ("core", "核心系统 Core bank", ("event-source",), 0, 0),
    ("loadtest", "压测 Load test", ("relationship-manager", "load-tester"), 1, 1),
)
_MANAGERS, _BRANCHES, _AGENTS = 8, 4, 2
FIRST_AGENT_ID: Final = 9_001
ROBOT_ID: Final = 9_801
"""Staff number of the demo's robot, who owns the customers of the public pool."""

_USERS: Final = (
    *_HEAD_OFFICE,
    *(
        (f"bm{n:03}", f"支行长 Branch manager {n}", ("branch-manager",), 0, n)
        for n in range(1, _BRANCHES + 1)
    ),
    *(
        (
            f"rm{n:03}",
            f"客户经理 Relationship manager {n}",
            ("relationship-manager",),
            n,
            (n - 1) % _BRANCHES + 1,
        )
        for n in range(1, _MANAGERS + 1)
    ),
    *(
        (
            f"do{n:03}",
            f"线上直营 Direct operations {n}",
            ("direct-operations-agent",),
            FIRST_AGENT_ID + n - 1,
            0,
        )
        for n in range(1, _AGENTS + 1)
    ),
    ("bot001", "外呼机器人 Outreach robot 1", ("outreach-robot",), ROBOT_ID, 0),
)

_log = get_logger(__name__)


def demo_users(created: datetime) -> Sequence[User]:
    """The users of the demo, made at `created`."""
    return [
        User(
            username=username,
            display_name=name,
            roles=roles,
            staff_id=staff_id,
            branch_id=branch_id,
            state=AccountState.ACTIVE,
            demo=True,
            created=created,
        )
        for username, name, roles, staff_id, branch_id in _USERS
    ]


async def admit(records: Records, passwords: Passwords, now: datetime) -> None:
    """Create those of the demo's users who are missing; others stay as they are.

    They share one hash: everybody knows the password, and a hash of its own for each would
    make the first start slower by seconds.
    """
    missing = [user for user in demo_users(now) if await records.user(user.username) is None]
    password_hash = await passwords.hash(PASSWORD) if missing else ""
    async with records.transaction() as changes:
        for user in missing:
            await changes.add_user(user, password_hash)
    _log.info("demo_users_admitted", created=len(missing))


async def refuse(records: Records) -> None:
    """End the sessions of the demo's users, where there are any; `SignOn` refuses new ones."""
    async with records.transaction() as changes:
        found = await changes.demo_users()
        for user in found:
            await changes.end_sessions_of(user.username)
    if found:
        _log.warning("demo_users_refused", users=len(found))
