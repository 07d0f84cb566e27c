"""Workers of snowflake sequences: each leased with a window of the time that goes into ids."""

from sequencer.snowflake.rpc import WorkerRpc
from sequencer.snowflake.service import Workers
from sequencer.snowflake.store import SqlWorkers

__all__ = ["SqlWorkers", "WorkerRpc", "Workers"]
