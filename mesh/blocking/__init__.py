"""Blocking channels, for scripts, command lines, notebooks and threads of their own.

Unary calls go by lane, in a thread that the channel keeps: several times faster than
grpc's own blocking channel. Generated stubs work unchanged.
"""

from mesh.blocking._channel import SOCKETS, BlockingChannel, blocking_channel
from mesh.blocking._ending import LaneRpcError
from mesh.blocking._sender import Target, Targets

__all__ = ["SOCKETS", "BlockingChannel", "LaneRpcError", "Target", "Targets", "blocking_channel"]
