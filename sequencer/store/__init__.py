"""Where sequences and their logs are kept."""

from sequencer.store._catalogue import SqlCatalogue
from sequencer.store._home import HomeLog
from sequencer.store._log import SqlLog

__all__ = ["HomeLog", "SqlCatalogue", "SqlLog"]
