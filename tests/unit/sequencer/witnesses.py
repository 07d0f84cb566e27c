"""Witnesses that can be told from damaged ones."""

from __future__ import annotations

from sequencer.entry import Witness


def witness(number: int, epoch: int = 0) -> Witness:
    """The one witness of this number and epoch."""
    mark = (number * 2_654_435_761 + epoch) % 2**63
    return Witness(number=number, mark=mark, epoch=epoch, position=number * 1_000)
