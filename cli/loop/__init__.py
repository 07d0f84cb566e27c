"""`engine demo loop` and `engine demo loans`: scenarios, played on the running platform.

Each prints a table of what was expected and what was found. Every number in the
column "found" is asked of the platform.
"""

from cli.loop._command import loans, loop

__all__ = ["loans", "loop"]
