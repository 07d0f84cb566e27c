"""JSON to protobuf messages and back, by the protobuf JSON mapping, strictly.

What a reader could take in two ways is refused: a key that stands twice, both
names of one field, two members of a oneof, an unknown field or enum name.
`google.protobuf.json_format` lets some of these through and costs three times
as much; it is the oracle of the tests.
"""

from gateway.codec._codec import Codec, JsonCodec, JsonTypes, parsed_object, violated
from gateway.codec._parameters import NoParameter, Parameter, parameter
from gateway.codec._scalars import FieldError
from gateway.codec._text import load
from gateway.codec._wellknown import duration

__all__ = [
    "Codec",
    "FieldError",
    "JsonCodec",
    "JsonTypes",
    "NoParameter",
    "Parameter",
    "duration",
    "load",
    "parameter",
    "parsed_object",
    "violated",
]
