"""The synthetic bank: customers of no real person, the same for the same seed.

`generate` makes a bank on disk, `open_bank` reads it, `check_shape` tells whether
its data looks as planned.
"""

from bank.config import SCALES, TIERS, VERSION, Config, Plan, Scale, parse_scale
from bank.customers import Customers
from bank.errors import BankError
from bank.generator import Progress, generate
from bank.manifest import Manifest
from bank.reader import Bank, Columns, open_bank
from bank.shape import Finding, check_shape
from bank.stream import Rows

__all__ = [
    "SCALES",
    "TIERS",
    "VERSION",
    "Bank",
    "BankError",
    "Columns",
    "Config",
    "Customers",
    "Finding",
    "Manifest",
    "Plan",
    "Progress",
    "Rows",
    "Scale",
    "check_shape",
    "generate",
    "open_bank",
    "parse_scale",
]
