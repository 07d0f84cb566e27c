"""An HTTP/1.1 server on asyncio: bytes on a socket to `Request`, `Response` to bytes.

It knows nothing of routes or contracts: give it a `Handler`.
"""

from gateway.http._connection import Limits, Refuse
from gateway.http._listener import Listener
from gateway.http._message import Handler, Header, Request, Response
from gateway.http._reader import RequestReader

__all__ = [
    "Handler",
    "Header",
    "Limits",
    "Listener",
    "Refuse",
    "Request",
    "RequestReader",
    "Response",
]
