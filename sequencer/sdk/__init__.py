"""Ids at the speed of an iterator, taken from ranges that the sequencer leases.

    with Sequencer("127.0.0.1:50060") as sequencer:
        orders = sequencer.sequence("shop.order")
        first = orders.next_id()          # blocks a thread when none is held
        later = await orders.next_id_async()  # waits on an event loop
        block = orders.next_ids(1_000)    # ranges, for bulk work
        event = sequencer.snowflake("shop.event").next_id()  # ordered by time

Ids are unique over all processes and increase within each. The library needs
grpc and protobuf alone, and is safe under threads, asyncio and fork.
"""

from sequencer.sdk._client import Sequencer
from sequencer.sdk._errors import (
    NumbersLost,
    SequenceEmpty,
    SequenceExhausted,
    SequenceNotFound,
    SequencerError,
    SequencerUnavailable,
    WorkerLost,
)
from sequencer.sdk._gapless import Claim, GaplessSequence, Reservation
from sequencer.sdk._grpc import GrpcRangeSource, mesh_source
from sequencer.sdk._link import Link
from sequencer.sdk._local import LocalRangeSource
from sequencer.sdk._sequence import Sequence, SequenceStats
from sequencer.sdk._serial import SerialSequence
from sequencer.sdk._snowflake import Snowflake, SnowflakeStats
from sequencer.sdk._source import Lease, LeaseRequest, RangeSource, Tail, Witness
from sequencer.sdk._strict import StrictSequence, StrictStats
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest, WorkerSource
from sequencer.sdk._worker_grpc import GrpcWorkerSource
from sequencer.sdk._worker_local import LocalWorkerSource
from sequencer.sdk.layout import Layout
from sequencer.sdk.serial.permutation import KeyedPermutation

__all__ = [
    "Claim",
    "GaplessSequence",
    "GrpcRangeSource",
    "GrpcWorkerSource",
    "KeyedPermutation",
    "Layout",
    "Lease",
    "LeaseRequest",
    "Link",
    "LocalRangeSource",
    "LocalWorkerSource",
    "NumbersLost",
    "RangeSource",
    "Reservation",
    "Sequence",
    "SequenceEmpty",
    "SequenceExhausted",
    "SequenceNotFound",
    "SequenceStats",
    "Sequencer",
    "SequencerError",
    "SequencerUnavailable",
    "SerialSequence",
    "Snowflake",
    "SnowflakeStats",
    "StrictSequence",
    "StrictStats",
    "Tail",
    "Tenancy",
    "Witness",
    "Worker",
    "WorkerLost",
    "WorkerRequest",
    "WorkerSource",
    "mesh_source",
]
