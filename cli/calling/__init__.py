"""What `engine call` is made of: contracts by reflection, requests from JSON, answers for people.

No generated stub of what is called is used: any gRPC server that serves reflection can be
called, also one whose contract is newer than this program.
"""

from cli.calling.answers import Shape
from cli.calling.callers import Caller, Claim
from cli.calling.orders import Order, carry_out, row_of
from cli.calling.peers import Peer, servers_at

__all__ = [
    "Caller",
    "Claim",
    "Order",
    "Peer",
    "Shape",
    "carry_out",
    "row_of",
    "servers_at",
]
