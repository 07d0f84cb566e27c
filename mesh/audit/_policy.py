"""The version of the policy that a service enforces."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from mesh import contract

_BYTES: Final = 6


def policy_version(services: Iterable[ServiceDescriptor], trust: bytes) -> str:
    """12 hexadecimal digits that change with any method's policy and with the trust file.

    Args:
        services: the contracts served.
        trust: content of the trust file: which services hold which rights.
    """
    digest = blake2b(trust, digest_size=_BYTES)
    methods = (contract.method(method) for service in services for method in service.methods)
    for method in sorted(methods, key=lambda method: method.path):
        policy = method.policy.SerializeToString(deterministic=True)
        for part in (method.path.encode(), policy):
            digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()
