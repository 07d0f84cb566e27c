"""`engine demo loop`: the golden loop, played on the running platform and compared with its table.

Every number in the column "found" is asked of the platform.
"""

from cli.loop._command import loop

__all__ = ["loop"]
