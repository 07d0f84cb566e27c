"""Under which keys the bus keeps what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "engine"


@dataclass(frozen=True, slots=True)
class TopicKeys:
    """Keys of one topic, all in one slot: a script may use them together."""

    topic: str
    prefix: str = PREFIX

    @property
    def log(self) -> str:
        """Stream of the events."""
        return self._key("log")

    @property
    def head(self) -> str:
        """Hash: the last position, and when it was given."""
        return self._key("head")

    @property
    def offsets(self) -> str:
        """Hash, of each group: up to where it is done, what it was given, and to which member."""
        return self._key("offsets")

    @property
    def trimmed(self) -> str:
        """There while it need not be trimmed again."""
        return self._key("trimmed")

    def lease(self, group: str) -> str:
        """The member of a group that is served, for as long as it is."""
        return self._key(f"lease:{group}")

    def dead(self, group: str) -> str:
        """Sorted set: positions of a group's dead letters by their ids."""
        return self._key(f"dead:{group}")

    def letters(self, group: str) -> str:
        """Hash: what is known of each dead letter."""
        return self._key(f"letters:{group}")

    def replaying(self, group: str) -> str:
        """Sorted set: ids of dead letters that are handed out once more."""
        return self._key(f"replaying:{group}")

    def _key(self, name: str) -> str:
        return f"{self.prefix}:{{bus:{self.topic}}}:{name}"


@dataclass(frozen=True, slots=True)
class BusKeys:
    """Keys of the bus as a whole, and the way to those of a topic."""

    prefix: str = PREFIX

    @property
    def topics(self) -> str:
        """Set of all topics."""
        return f"{self.prefix}:{{bus}}:topics"

    @property
    def letters(self) -> str:
        """Number of the last dead letter."""
        return f"{self.prefix}:{{bus}}:letters"

    def of(self, topic: str) -> TopicKeys:
        """Keys of a topic."""
        return TopicKeys(topic, self.prefix)
