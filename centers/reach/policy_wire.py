"""The contact policy's message as rules, and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from centers.reach.domain import Channel, ContactClass
from centers.reach.errors import ReachReason
from centers.reach.quiet import QuietHours
from centers.reach.rules import CONFIRM_WITHIN, Cap, ChannelQuiet, Rules
from engine.reach.v1 import reach_pb2
from mesh.errors import MeshError, Violation

LONGEST: Final = timedelta(days=365)

_CHANNELS: Final = frozenset(map(int, Channel))
_CLASSES: Final = frozenset(map(int, ContactClass)) - {int(ContactClass.REGULATORY)}


def check(policy: reach_pb2.ContactPolicy) -> None:
    """Refuse rules that the contract's own do not.

    Raises:
        MeshError: POLICY_INVALID, naming the fields.
    """
    violations = list(_faults(policy))
    if violations:
        raise MeshError(ReachReason.POLICY_INVALID, violations=violations)


def rules(policy: reach_pb2.ContactPolicy, version: int) -> Rules:
    """A version of the policy as admission reads it."""
    confirm_within = policy.confirm_within.ToTimedelta()
    return Rules(
        version=version,
        caps=tuple(map(_cap, policy.caps)),
        quiet=tuple(map(_quiet, policy.quiet_hours)),
        min_gap=policy.min_gap.ToTimedelta(),
        consent_channels=frozenset(map(Channel, policy.consent_channels)),
        confirm_within=confirm_within or CONFIRM_WITHIN,
    )


def policy(found: Rules) -> reach_pb2.ContactPolicy:
    """The message of the rules that hold before a version is published: it has no head."""
    message = reach_pb2.ContactPolicy(
        consent_channels=[reach_pb2.Channel.ValueType(one) for one in found.consent_channels]
    )
    for cap in found.caps:
        window = message.caps.add(
            channel=reach_pb2.Channel.ValueType(cap.channel),
            contact_class=reach_pb2.ContactClass.ValueType(cap.contact_class),
            limit=cap.limit,
        ).window
        window.FromTimedelta(cap.window)
    for quiet in found.quiet:
        message.quiet_hours.add(
            channel=reach_pb2.Channel.ValueType(quiet.channel),
            from_minute=quiet.hours.from_minute,
            to_minute=quiet.hours.to_minute,
        )
    message.min_gap.FromTimedelta(found.min_gap)
    message.confirm_within.FromTimedelta(found.confirm_within)
    return message


def _cap(message: reach_pb2.Cap) -> Cap:
    return Cap(
        channel=Channel(message.channel),
        contact_class=ContactClass(message.contact_class or ContactClass.MARKETING),
        window=message.window.ToTimedelta(),
        limit=message.limit,
    )


def _quiet(message: reach_pb2.QuietHours) -> ChannelQuiet:
    hours = QuietHours(message.from_minute, message.to_minute)
    return ChannelQuiet(channel=Channel(message.channel), hours=hours)


def _faults(policy: reach_pb2.ContactPolicy) -> Iterator[Violation]:
    for index, cap in enumerate(policy.caps):
        yield from _cap_faults(f"contact_policy.caps[{index}]", cap)
    rests = [(f"quiet_hours[{i}].channel", one.channel) for i, one in enumerate(policy.quiet_hours)]
    wants = [(f"consent_channels[{i}]", one) for i, one in enumerate(policy.consent_channels)]
    for place, channel in [*rests, *wants]:
        if channel not in _CHANNELS:
            yield Violation(f"contact_policy.{place}", "must be one of the contract")
    for name, duration in (("min_gap", policy.min_gap), ("confirm_within", policy.confirm_within)):
        if not _is_sound(duration):
            yield Violation(f"contact_policy.{name}", "must lie between 0 and 365 days")


def _cap_faults(place: str, cap: reach_pb2.Cap) -> Iterator[Violation]:
    if cap.channel not in _CHANNELS:
        yield Violation(f"{place}.channel", "must be one of the contract")
    if cap.contact_class not in _CLASSES:
        yield Violation(f"{place}.contact_class", "must be marketing or service")
    if not cap.window.ToTimedelta():
        yield Violation(f"{place}.window", "must be stated")


def _is_sound(duration: Duration) -> bool:
    return 0 <= duration.seconds <= LONGEST.total_seconds() and 0 <= duration.nanos < 10**9
