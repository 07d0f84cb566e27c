"""What a server is asked by reflection, and which answers make a contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from mesh import reflection as module
from mesh.contract import ContractError
from mesh.reflection import Contract, only, questions


def file(name: str, *imports: str, service: str = "") -> bytes:
    found = descriptor_pb2.FileDescriptorProto(name=name, package="t", dependency=imports)
    if service:
        found.service.add(name=service)
    return found.SerializeToString()


def asked(answer: Callable[[Any], Any]) -> Contract:
    """The contract of a server that answers like this."""
    asking = questions()
    question = next(asking)
    while True:
        try:
            question = asking.send(answer(question))
        except StopIteration as end:
            contract: Contract = end.value
            return contract


def serving(files: Callable[[str], bytes], *services: str) -> Callable[[Any], Any]:
    """A server with some services; it is asked for files by their names, or a service's."""

    def answer(question: Any) -> Any:
        said = pb.ServerReflectionResponse()
        if question.HasField("list_services"):
            for name in services:
                said.list_services_response.service.add(name=name)
        else:
            name = question.file_by_filename or question.file_containing_symbol
            said.file_descriptor_response.file_descriptor_proto.append(files(name))
        return said

    return answer


def test_imports_that_were_not_given_along_are_asked_for() -> None:
    """Each service's file, and what it needs; services of gRPC itself are left out."""
    files = {"t.S": file("s.proto", "a.proto", service="S"), "a.proto": file("a.proto")}
    contract = asked(serving(files.__getitem__, "t.S", "grpc.health.v1.Health"))
    assert contract.services == ("t.S",)
    assert set(contract.files) == {"s.proto", "a.proto"}
    assert contract.pool.FindServiceByName("t.S").name == "S"


def test_a_server_that_goes_on_naming_new_files_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is kept of an answer without end is bounded."""
    monkeypatch.setattr(module, "MAX_FILES", 5)
    names: list[str] = []

    def endless(name: str) -> bytes:
        names.append(name)
        return file(name, f"{name}x")

    with pytest.raises(ContractError, match="does not give"):
        asked(serving(endless, "t.S"))
    assert len(names) == 6


def test_files_that_lack_a_service_make_no_contract() -> None:
    """Nor do bytes that are no file."""
    for found in (file("s.proto"), b"\xff"):
        with pytest.raises(ContractError, match="do not fit together"):
            asked(serving(lambda _, found=found: found, "t.S"))  # type: ignore[misc]


@pytest.mark.parametrize("answers", [[], [1, 2]])
def test_one_question_has_one_answer(answers: list[int]) -> None:
    """Anything else is no reflection."""
    with pytest.raises(ContractError, match="one answer"):
        only(answers)
