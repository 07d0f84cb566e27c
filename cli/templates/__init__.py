"""Templates of what a project is made of: a centre, with all that belongs to it.

A template is code like any other, of a centre `sample` that keeps one `specimen`;
a new centre has its own words in their place. Nothing else is replaced.
"""

from cli.templates._edits import EditError
from cli.templates._names import NameRefusedError, Names, names
from cli.templates._plan import Plan, plan
from cli.templates._writing import write

__all__ = ["EditError", "NameRefusedError", "Names", "Plan", "names", "plan", "write"]
