"""HTTP's own words between the gateway and methods with the option `http_edge`.

A service reads and answers them through `HttpEdge`; the gateway carries them.
How they travel in metadata, and the arithmetic of byte ranges, stand here alone.

    async def GetContent(self, request, context):
        edge = HttpEdge(context)
        wanted = await edge.deliver(length=size, etag='"sha256"')
        return HttpBody(content_type="application/pdf", data=content[wanted.start : wanted.stop])
"""

from mesh.edge._answer import RESPONSE_HEADERS, Answer, EdgeError, Header
from mesh.edge._asked import MAX_REQUEST_BYTES, REQUEST_HEADERS, Asked
from mesh.edge._delivery import PIECE_BYTES, Conditions, ContentRange, Delivery
from mesh.edge._service import HttpEdge

__all__ = [
    "MAX_REQUEST_BYTES",
    "PIECE_BYTES",
    "REQUEST_HEADERS",
    "RESPONSE_HEADERS",
    "Answer",
    "Asked",
    "Conditions",
    "ContentRange",
    "Delivery",
    "EdgeError",
    "Header",
    "HttpEdge",
]
