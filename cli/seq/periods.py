"""The periods of serials that begin anew: whose they are, also once a serial is renamed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from cli.seq.connection import find

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub


def owners(stub: SequencerServiceStub, listed: Collection[pb.Sequence]) -> Mapping[str, str]:
    """By the name of each period among all sequences: what its serial is called now.

    A period keeps the name that its serial had when it was made, and an old name of a
    serial goes on leading to it. So there is a call for each old name, and no more.
    """
    names = {one.name for one in listed}
    bases = {name: name.partition("@")[0] for name in names if "@" in name}
    now = {base: base if base in names else _name_now(stub, base) for base in {*bases.values()}}
    return {period: now[base] for period, base in bases.items()}


def _name_now(stub: SequencerServiceStub, base: str) -> str:
    serial = find(stub, base)
    return serial.name if serial is not None else base
