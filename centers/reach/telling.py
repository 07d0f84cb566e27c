"""What the reach centre tells all others."""

from __future__ import annotations

from centers.reach import wire
from centers.reach.domain import Contact
from centers.reach.preference import Preference
from engine.mesh.v1.event_pb2 import Event
from engine.reach.v1 import reach_pb2
from mesh.events import event


def contact_changed(contact: Contact) -> Event:
    """The contact came to be or changed; without the details of its checks."""
    changed = reach_pb2.ContactChanged(contact=wire.contact(contact, details=False))
    return event(changed, key=contact.customer_id, chain=changed.contact.chain)


def preference_changed(preference: Preference) -> Event:
    """A customer said something of being contacted."""
    changed = reach_pb2.PreferenceChanged(preference=wire.preference(preference))
    return event(changed, key=preference.customer_id)
