"""Serials by the server: for callers that want one now and then, and hold no ranges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Final, Protocol

import grpc

from mesh.clock import Clock
from mesh.errors import MeshError, Reason, ReasonText
from sequencer.definition import Definition, invalid
from sequencer.definition import Serial as Setting
from sequencer.entry import Entry
from sequencer.errors import SequencerReason
from sequencer.ledger import Wish
from sequencer.sdk.serial import (
    Serial,
    SerialDateError,
    SerialFormat,
    SerialKeyError,
    SerialOverflow,
    SerialTemplateError,
)

MAX_FORMATS: Final = 1_024
"""Formats kept at hand; more are made again when they are needed."""


class SerialReason(Reason):
    """Why the sequencer writes or reads no serial."""

    SERIAL_FORMAT_MISSING = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "The sequence has no format for serials, or none that works here",
        "该序列没有可用的编号格式",
        "Create a sequence with 'serial' set; the metadata says what is wrong with this one.",
    )
    SERIAL_HIDDEN = ReasonText(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Numbers of these serials are hidden by a key that the sequencer does not have",
        "编号已加密，序列中心不持有密钥",
        "Write and read them where the key is, with the client library.",
    )
    SERIAL_OVERFLOW = ReasonText(
        grpc.StatusCode.OUT_OF_RANGE,
        "The numbers have become wider than the template has room for",
        "流水号位数已超出编号格式",
        "Create a sequence whose template has more digits and use that from now on.",
    )


class Definitions(Protocol):
    """Finds sequences by name."""

    async def known(self, name: str) -> Definition:
        """The sequence that has or had a name; looking at one never makes it."""


class Grants(Protocol):
    """Grants ids."""

    def stream(self, name: str, wish: Wish, count: int) -> AsyncIterator[tuple[Definition, Entry]]:
        """Ranges of a sequence with `count` ids in all."""


class Serials:
    """The use cases of serials. All raise MeshError SEQUENCE_NOT_FOUND, SERIAL_FORMAT_MISSING."""

    def __init__(self, definitions: Definitions, grants: Grants, clock: Clock) -> None:
        self._definitions = definitions
        self._grants = grants
        self._clock = clock
        self._formats: dict[Setting, SerialFormat] = {}

    async def take(
        self, name: str, count: int, business_date: date | None, holder: str
    ) -> tuple[list[str], date | None]:
        """Serials of one business date, today's when it is None, and that date.

        Near the end of the numbers those that there are.

        Raises:
            MeshError: SERIAL_OVERFLOW, SERIAL_HIDDEN, INVALID_ARGUMENT, and as LeaseRange.
        """
        definition, made = await self._format(name)
        if made.is_hidden:
            raise MeshError(SerialReason.SERIAL_HIDDEN)
        with _told():
            day = made.business_date(business_date)
            child = _child(definition.name, made.period(day))
            numbers = await self._numbers(child, Wish(holder=holder, size=count), count)
            return [made.format(number, day) for number in numbers], day

    async def read(self, name: str, text: str) -> tuple[Serial, str] | None:
        """What a serial says, and the sequence that its number is from; None when it is hidden.

        Raises:
            SerialTextError: it is no serial of the sequence.
        """
        definition, made = await self._format(name)
        try:
            found = made.read(text)
        except SerialKeyError:
            return None
        return found, _child(definition.name, found.period)

    async def _numbers(self, name: str, wish: Wish, count: int) -> list[int]:
        """So many numbers, or as many as are left: those that were granted are not lost."""
        found: list[int] = []
        try:
            async for owner, entry in self._grants.stream(name, wish, count):
                found += map(owner.id_at, range(entry.position, entry.stop))
        except MeshError as error:
            if not found or error.reason is not SequencerReason.SEQUENCE_EXHAUSTED:
                raise
        return found

    async def _format(self, name: str) -> tuple[Definition, SerialFormat]:
        definition = await self._definitions.known(name)
        setting = definition.serial
        if setting is None:
            raise MeshError(SerialReason.SERIAL_FORMAT_MISSING, metadata={"sequence": name})
        if setting not in self._formats:
            if len(self._formats) >= MAX_FORMATS:
                self._formats.clear()
            self._formats[setting] = self._made(setting)
        return definition, self._formats[setting]

    def _made(self, setting: Setting) -> SerialFormat:
        try:
            return SerialFormat.parse(
                setting.template,
                zone=setting.zone,
                reset=setting.reset,
                now=self._clock.now,
            )
        except SerialTemplateError as error:
            raise MeshError(
                SerialReason.SERIAL_FORMAT_MISSING, metadata={"why": str(error)}
            ) from error


def _child(name: str, period: str) -> str:
    return f"{name}@{period}" if period else name


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except SerialDateError as error:
        raise invalid("business_date", str(error)) from error
    except SerialOverflow as error:
        raise MeshError(SerialReason.SERIAL_OVERFLOW, metadata={"why": str(error)}) from error
