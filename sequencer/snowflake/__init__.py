"""Workers of snowflake sequences: each leased with a window of the time that goes into ids."""

from sequencer.snowflake.rpc import WorkerRpc
from sequencer.snowflake.service import Workers
from sequencer.snowflake.store import SqlWorkers
from sequencer.snowflake.watch import WorkerWatch

__all__ = ["SqlWorkers", "WorkerRpc", "WorkerWatch", "Workers"]
