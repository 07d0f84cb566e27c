"""The bank's zone: where its days begin and end."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

BANK_ZONE: Final = ZoneInfo("Asia/Shanghai")
"""Ahead of UTC by eight hours, all year."""
