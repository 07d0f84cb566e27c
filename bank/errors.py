"""What can go wrong with a bank on disk or with the order to make one."""

from __future__ import annotations


class BankError(Exception):
    """A bank cannot be made or read; the text says why and what to do."""
