"""Which method a request is for, and how it is asked by generated stub or over REST.

Every method of the contracts has a request message of its own, so that the
request alone says what is asked.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from string import Formatter
from typing import Any, Final
from urllib.parse import quote, urlencode

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mesh import contract
from mesh.contract import Method

_SIMULATORS: Final = {
    "SmsSimulatorService": "sms",
    "CallSimulatorService": "calls",
    "WecomSimulatorService": "wecom-server",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it goes through the gateway. `template` is the path without its values."""

    verb: str
    path: str
    template: str
    body: str | None
    idempotency_key: str


@cache
def method_of(request: Descriptor) -> Method:
    """The method that a request message is for.

    Raises:
        LookupError: no service of its file takes it.
    """
    for service in request.file.services_by_name.values():
        for method in service.methods:
            if method.input_type is request:
                return contract.method(method)
    raise LookupError(f"{request.full_name} is no method's request")


def request_id() -> str:
    """A new idempotency key."""
    return uuid.uuid4().hex


def service_of(method: Method) -> str:
    """The name under which the method's service is registered."""
    _, area, _, service = method.service.split(".")
    return _SIMULATORS.get(service, area)


def short_name(method: Method) -> str:
    """Service and method, as "TaskService/StartTask"."""
    return f"{method.service.rpartition('.')[2]}/{method.name}"


def by_stub(channel: grpc.Channel, request: Message, timeout_s: float) -> Any:
    """What the generated stub of the request's method answers.

    Raises:
        grpc.RpcError: it was refused.
    """
    method = method_of(request.DESCRIPTOR)
    file: str = request.DESCRIPTOR.file.name
    module = import_module(file.removesuffix(".proto").replace("/", ".") + "_pb2_grpc")
    stub = getattr(module, method.service.rpartition(".")[2] + "Stub")(channel)
    return getattr(stub, method.name)(request, timeout=timeout_s)


def to_http(request: Message) -> HttpRequest:
    """The request as the method's HTTP rule says it; its idempotency key goes into the header."""
    rule = _rule(method_of(request.DESCRIPTOR))
    verb = rule.WhichOneof("pattern")
    template = getattr(rule, verb)
    fields = json_format.MessageToDict(request)
    key = fields.pop("requestId", "")
    values = {name: fields.pop(_json_name(request, name)) for name in _variables(template)}
    path = template.format_map({name: quote(str(value)) for name, value in values.items()})
    body = None
    if rule.body == "*":
        body, fields = fields, {}
    elif rule.body:
        body = fields.pop(_json_name(request, rule.body), {})
    query = f"?{urlencode(fields, doseq=True)}" if fields else ""
    return HttpRequest(
        verb=verb.upper(),
        path=path + query,
        template=template,
        body=None if body is None else json.dumps(body),
        idempotency_key=key,
    )


def from_http(request: Message, answer: Any) -> Any:
    """The response message of a JSON answer; `answer` is what was parsed."""
    method = method_of(request.DESCRIPTOR)
    field = _rule(method).response_body
    response = GetMessageClass(method.output)()
    if field:
        answer = {method.output.fields_by_name[field].json_name: answer}
    return json_format.ParseDict(answer, response)


def _rule(method: Method) -> Any:
    if method.http is None:
        raise LookupError(f"{method.path} has no REST mapping")
    return method.http


def _variables(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _json_name(request: Message, name: str) -> str:
    json_name: str = request.DESCRIPTOR.fields_by_name[name].json_name
    return json_name
