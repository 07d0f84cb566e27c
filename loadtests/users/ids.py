"""A program that takes ids from the sequencer's SDK."""

from __future__ import annotations

from typing import Final

from locust import constant_pacing, task

from loadtests.users.measured import SignedOnUser
from sequencer.sdk import GrpcRangeSource, Sequencer

SEQUENCE: Final = "loadtest.ids"
IDS_PER_EVENT: Final = 10_000


class SdkUser(SignedOnUser):
    """A program that needs many ids. One request stands for 10,000 of them."""

    wait_time = constant_pacing(0.1)

    def on_start(self) -> None:
        """Sign on and begin to hold ids."""
        super().on_start()
        source = GrpcRangeSource(self._address("sequencer"), self._session.proofs)
        ids = self._open.enter_context(Sequencer(source)).sequence(SEQUENCE)
        self._next_id = ids.next_id
        self._last = 0

    @task
    def take_ids(self) -> None:
        """10,000 ids, each above the one before."""
        next_id, last = self._next_id, self._last
        with self.measured("SDK", f"next_id x {IDS_PER_EVENT:,}"):
            for _ in range(IDS_PER_EVENT):
                taken = next_id()
                assert taken > last, "An id is not above the one before"
                last = taken
        self._last = last
