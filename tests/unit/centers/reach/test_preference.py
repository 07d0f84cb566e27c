"""What holds of all that a customer said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from centers.reach.domain import Channel, ContactClass
from centers.reach.preference import (
    NO_QUIET,
    Preference,
    Said,
    own_quiet,
    quietened,
    refuses_everything,
    standing,
    stated,
)
from centers.reach.quiet import QuietHours

NOW = datetime(2026, 3, 10, tzinfo=UTC)
MARKETING, SERVICE = ContactClass.MARKETING, ContactClass.SERVICE


def said(
    what: Said,
    channel: Channel = Channel.ALL,
    contact_class: ContactClass = ContactClass.ALL,
    quiet: QuietHours = NO_QUIET,
) -> Preference:
    return Preference(
        customer_id=1,
        channel=channel,
        contact_class=contact_class,
        said=what,
        said_time=NOW,
        quiet=quiet,
        evidence="",
        update_time=NOW,
    )


def history(*statements: Preference) -> list[Preference]:
    """What is held after these statements, all made in the same microsecond."""
    held: list[Preference] = []
    for one in statements:
        new = stated(held, one)
        held = [
            old
            for old in held
            if (old.channel, old.contact_class) != (new.channel, new.contact_class)
        ]
        held.append(new)
    return held


REFUSES, CONSENTS = Said.REFUSES, Said.CONSENTS


@pytest.mark.parametrize(
    ("statements", "channel", "contact_class", "holds"),
    [
        ([], Channel.SMS, MARKETING, Said.NOTHING),
        ([said(REFUSES)], Channel.SMS, MARKETING, REFUSES),
        ([said(REFUSES)], Channel.CALL, SERVICE, REFUSES),
        ([said(REFUSES, Channel.SMS)], Channel.CALL, MARKETING, Said.NOTHING),
        ([said(REFUSES, Channel.SMS, MARKETING)], Channel.SMS, SERVICE, Said.NOTHING),
        ([said(REFUSES), said(CONSENTS, Channel.SMS)], Channel.SMS, MARKETING, CONSENTS),
        ([said(REFUSES), said(CONSENTS, Channel.SMS)], Channel.CALL, MARKETING, REFUSES),
        ([said(CONSENTS, Channel.SMS), said(REFUSES)], Channel.SMS, MARKETING, REFUSES),
        ([said(REFUSES, Channel.SMS), said(CONSENTS)], Channel.SMS, MARKETING, CONSENTS),
        ([said(REFUSES)], Channel.SMS, ContactClass.REGULATORY, Said.NOTHING),
    ],
)
def test_the_newest_statement_that_concerns_a_contact_holds(
    statements: list[Preference], channel: Channel, contact_class: ContactClass, holds: Said
) -> None:
    """A refusal stays until he consents anew; what the law wants cannot be refused."""
    assert standing(history(*statements), channel, contact_class) is holds


def test_who_refuses_all_channels_one_by_one_refuses_everything() -> None:
    """Opportunities of such a customer lead nowhere."""
    channels = (Channel.CALL, Channel.AI_CALL, Channel.SMS, Channel.WECOM)
    refused = history(*(said(REFUSES, one) for one in channels))
    assert refuses_everything(refused, MARKETING)
    assert not refuses_everything(refused[:-1], MARKETING)


def test_quiet_hours_and_statements_about_all_channels_keep_one_another() -> None:
    """They stand in one preference; changing one leaves the other."""
    hours = QuietHours(60, 120)
    refused = history(said(REFUSES))
    rests = quietened(refused, said(Said.NOTHING, quiet=hours))
    assert (rests.said, rests.quiet) == (REFUSES, hours)
    consents = stated([rests], said(CONSENTS))
    assert (consents.said, own_quiet([consents])) == (CONSENTS, hours)
