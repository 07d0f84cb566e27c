"""Templates of what a project is made of: a centre, with all that belongs to it.

A template is code like any other, of a centre `sample` that keeps one `specimen`;
a new centre has its own words in their place. Nothing else is replaced. The shape
that it has is stated once, and every centre of the project is held to it.
"""

from cli.templates._drift import drift
from cli.templates._edits import EditError
from cli.templates._names import NameRefusedError, Names, names
from cli.templates._plan import Plan, plan
from cli.templates._shape import PARTS, Part
from cli.templates._writing import write

__all__ = [
    "PARTS",
    "EditError",
    "NameRefusedError",
    "Names",
    "Part",
    "Plan",
    "drift",
    "names",
    "plan",
    "write",
]
