"""The decision centre's database as its use cases see it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from centers.decision.backtest_rows import BacktestRows
from centers.decision.decision_rows import Decisions
from centers.decision.history_rows import Histories
from centers.decision.launch_rows import Launches
from centers.decision.log_rows import EventLog
from centers.decision.trigger_rows import Triggers
from centers.decision.wait_rows import Waits
from mesh.storage import Store, Transaction


class DecisionStore:
    """What is held, each kind by its own module; a transaction spans them all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.log = EventLog()
        self.histories = Histories(store)
        self.launches = Launches(store)
        self.triggers = Triggers(store)
        self.waits = Waits(store)
        self.decisions = Decisions(store)
        self.backtests = BacktestRows(store)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A writing transaction, as `mesh.storage.Store.transaction`."""
        return self._store.transaction()
