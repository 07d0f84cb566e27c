"""Lanes: many unary calls between two peers over one connection.

Plain gRPC costs some 300 µs a call at each end, nearly all of it for each call anew. A
lane sends what queued meanwhile as one batch. Frames do not know what carries them: a
Unix socket, a TLS socket, or a long gRPC stream where nothing else passes.
"""

from mesh.lane.dial import CARRIERS, STREAM, TLS, UNIX, Endpoint
from mesh.lane.frames import LaneError
from mesh.lane.host import LaneServer, server

__all__ = ["CARRIERS", "STREAM", "TLS", "UNIX", "Endpoint", "LaneError", "LaneServer", "server"]
