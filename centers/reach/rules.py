"""The contact policy as admission reads it, and what holds before one is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from centers.reach.domain import Channel, ContactClass
from centers.reach.quiet import QuietHours

CONFIRM_WITHIN: Final = timedelta(days=1)
"""How long a WeCom message waits for its confirmation where the policy does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """So many contacts of a class in a sliding time; of all channels together, or of one."""

    channel: Channel
    contact_class: ContactClass
    window: timedelta
    limit: int

    def concerns(self, channel: Channel, contact_class: ContactClass) -> bool:
        """Whether a contact of this kind counts."""
        return self.contact_class is contact_class and self.channel in (Channel.ALL, channel)

    @property
    def name(self) -> str:
        """What it counts, as receipts name it."""
        return self.channel.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelQuiet:
    """Hours in which a channel, or all of them, rest."""

    channel: Channel
    hours: QuietHours


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of the contact policy; 0 is the one in the code."""

    version: int
    caps: tuple[Cap, ...]
    quiet: tuple[ChannelQuiet, ...] = ()
    min_gap: timedelta = timedelta()
    consent_channels: frozenset[Channel] = frozenset()
    confirm_within: timedelta = CONFIRM_WITHIN

    @property
    def memory(self) -> timedelta:
        """How far back contacts matter."""
        return max([self.min_gap, *(cap.window for cap in self.caps)])

    def quiet_hours(self, channel: Channel) -> list[QuietHours]:
        """The hours in which this channel rests."""
        return [quiet.hours for quiet in self.quiet if quiet.channel in (Channel.ALL, channel)]

    def wants_consent(self, channel: Channel) -> bool:
        """Whether marketing through this channel needs the customer's consent."""
        return not self.consent_channels.isdisjoint((channel, Channel.ALL))


_CAPS: Final = (
    Cap(
        channel=Channel.ALL,
        contact_class=ContactClass.MARKETING,
        window=timedelta(days=7),
        limit=1,
    ),
    Cap(
        channel=Channel.SMS,
        contact_class=ContactClass.MARKETING,
        window=timedelta(days=30),
        limit=4,
    ),
)
_NIGHT: Final = ChannelQuiet(channel=Channel.ALL, hours=QuietHours(21 * 60, 8 * 60))

BUILT_IN: Final = Rules(version=0, caps=_CAPS, quiet=(_NIGHT,))
DEMO: Final = Rules(version=0, caps=_CAPS)


def built_in(*, demo: bool) -> Rules:
    """The policy in force until a version is published.

    Marketing: one contact in 7 days over all channels, four text messages in 30
    days; every channel rests from 21:00 to 08:00. In the demo nothing rests by the
    bank's rule, because it must work at any time of day; customers' own quiet
    hours hold there too.
    """
    return DEMO if demo else BUILT_IN
