"""Events: told within a transaction, carried by the bus, consumed with their effect once.

    async with store.transaction() as tx:
        await tx.execute(...)
        tx.publish(event(TaskChanged(...), key=customer_id))

A service names what it consumes in `Service.subscriptions`; `mesh.App` runs
relay and consumers.
"""

from mesh.events._bus import EventBus, RemoteBus
from mesh.events._consumer import Consumer
from mesh.events._event import event
from mesh.events._local import LocalBus
from mesh.events._relay import Relay
from mesh.events._subscription import Effect, Reaction, Subscription

__all__ = [
    "Consumer",
    "Effect",
    "EventBus",
    "LocalBus",
    "Reaction",
    "Relay",
    "RemoteBus",
    "Subscription",
    "event",
]
