"""The WeCom adapter as a service: what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from centers.wecom.binding_rows import BindingStore
from centers.wecom.contacts import Contacts
from centers.wecom.handover import Handover
from centers.wecom.reminder_rows import ReminderStore
from centers.wecom.reminding import Reminding
from centers.wecom.rpc import WecomRpc
from centers.wecom.scope import MemberScope
from centers.wecom.server import NAME, RIGHT, WecomServer
from centers.wecom.service import Messages
from centers.wecom.store import TaskStore
from engine.wecom.v1 import wecom_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from sequencer.sdk.service import RIGHTS, ServiceIds

SEQUENCE: Final = "wecom.message_task"


def build(parts: Parts) -> Service:
    """The WeCom adapter from its parts."""
    ids = ServiceIds(parts)
    tasks, reminders = TaskStore(parts.store), ReminderStore(parts.store)
    server = WecomServer(parts.channel(NAME))
    handover = Handover(tasks, server, parts.clock)
    reminding = Reminding(reminders, server, parts.clock)
    messages = Messages(
        tasks,
        reminders,
        server,
        ids.of(SEQUENCE),
        parts.clock,
        on_order=handover.wake,
        on_reminder=reminding.wake,
    )
    contacts = Contacts(BindingStore(parts.store), parts.clock)
    contract = wecom_pb2.DESCRIPTOR.services_by_name["WecomService"]
    return Service(
        servicers=[Servicer(descriptor=contract, implementation=WecomRpc(contacts, messages))],
        resources=[ids, handover, reminding],
        scope_resolver={"message_task_id": MemberScope(tasks)},
    )


BLUEPRINT: Final = Blueprint(
    name="wecom",
    build=build,
    after=("identity", "sequencer"),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",
    rights=RIGHTS | {RIGHT},
)
