"""The contract of serials: messages to use cases and back."""
# ruff: noqa: ARG002 - methods are named by the contract; the transport's context goes unused

from __future__ import annotations

from datetime import date
from typing import Any, Final

import grpc

from engine.sequencer.v1 import serial_pb2 as pb
from engine.sequencer.v1 import serial_pb2_grpc as pb_grpc
from mesh.context import current
from sequencer.definition import invalid
from sequencer.sdk.serial import SerialTextError
from sequencer.serials import Serials

Context = grpc.aio.ServicerContext[Any, Any]

CLIENT: Final = "serials"
"""The client id that serials are leased under, behind the caller's name."""


class SerialRpc(pb_grpc.SerialServiceServicer):
    """Serves `engine.sequencer.v1.SerialService`."""

    def __init__(self, serials: Serials) -> None:
        self._serials = serials

    async def NextSerials(
        self, request: pb.NextSerialsRequest, context: Context
    ) -> pb.NextSerialsResponse:
        serials, day = await self._serials.take(
            request.name,
            request.count or 1,
            _date(request.business_date),
            f"{current().actor}/{CLIENT}",
        )
        return pb.NextSerialsResponse(serials=serials, business_date=_text(day))

    async def ReadSerial(
        self, request: pb.ReadSerialRequest, context: Context
    ) -> pb.ReadSerialResponse:
        try:
            found = await self._serials.read(request.name, request.serial)
        except SerialTextError as error:
            return pb.ReadSerialResponse(problem=str(error), position=error.position)
        if found is None:
            return pb.ReadSerialResponse(valid=True)
        serial, sequence = found
        return pb.ReadSerialResponse(
            valid=True, number=serial.number, business_date=_text(serial.date), sequence=sequence
        )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise invalid("business_date", str(error)) from error


def _text(day: date | None) -> str:
    return day.isoformat() if day else ""
