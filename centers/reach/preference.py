"""What customers say about being contacted. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from centers.reach.domain import CHANNELS, Channel, ContactClass
from centers.reach.quiet import QuietHours

NO_QUIET: Final = QuietHours(0, 0)
_TICK: Final = timedelta(microseconds=1)


class Said(IntEnum):
    """What he said of a channel and a class."""

    NOTHING = 0
    REFUSES = 1
    CONSENTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What a customer said of one channel and class, or of all.

    `said_time` orders what he said of different ones: it rises with each statement
    of a customer. His quiet hours stand with the preference for all channels and
    all classes.
    """

    customer_id: int
    channel: Channel
    contact_class: ContactClass
    said: Said
    said_time: datetime
    quiet: QuietHours
    evidence: str
    update_time: datetime

    def concerns(self, channel: Channel, contact_class: ContactClass) -> bool:
        """Whether it speaks of such contacts."""
        return (
            self.said is not Said.NOTHING
            and self.channel in (Channel.ALL, channel)
            and self.contact_class in (ContactClass.ALL, contact_class)
        )


Preferences = Sequence[Preference]
"""All that one customer said."""


def standing(found: Preferences, channel: Channel, contact_class: ContactClass) -> Said:
    """What holds for such contacts: the newest of all statements that concern them.

    A refusal so holds until he consents anew to the same, or to something that
    includes it. Contacts that the law wants are nobody's to refuse.
    """
    if contact_class is ContactClass.REGULATORY:
        return Said.NOTHING
    concerning = [one for one in found if one.concerns(channel, contact_class)]
    if not concerning:
        return Said.NOTHING
    return max(concerning, key=lambda one: one.said_time).said


def refuses_everything(found: Preferences, contact_class: ContactClass) -> bool:
    """Whether he refuses every channel of a class."""
    return all(standing(found, channel, contact_class) is Said.REFUSES for channel in CHANNELS)


def own_quiet(found: Preferences) -> QuietHours:
    """The customer's own quiet hours."""
    return next((one.quiet for one in found if _is_general(one)), NO_QUIET)


def stated(found: Preferences, new: Preference) -> Preference:
    """What he says now beside what he said before: last in order, his quiet hours kept."""
    latest = max((one.said_time for one in found), default=new.said_time - _TICK)
    said_time = max(new.said_time, latest + _TICK)
    return replace(new, said_time=said_time, quiet=_same(found, new).quiet)


def quietened(found: Preferences, new: Preference) -> Preference:
    """His quiet hours now; what he said of all channels stays."""
    before = _same(found, new)
    return replace(new, said=before.said, said_time=before.said_time, evidence=before.evidence)


def _same(found: Preferences, new: Preference) -> Preference:
    """The preference that the new one replaces; itself when there is none."""
    kind = (new.channel, new.contact_class)
    return next((one for one in found if (one.channel, one.contact_class) == kind), new)


def _is_general(preference: Preference) -> bool:
    return preference.channel is Channel.ALL and preference.contact_class is ContactClass.ALL
