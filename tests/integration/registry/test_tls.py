"""The registry between hosts: both ends show a certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mesh.errors import MeshError
from mesh.pki import CA, Authority, Names
from mesh.registry.client import LeaseRegistry, Patience, opener
from mesh.testing import Mesh
from mesh.tls import Certificate, Credentials
from mesh.tokens import ServiceKey
from tests.integration.registry.running import QUICK, RunningRegistry, until
from tests.integration.registry.stock import stock_client
from tests.integration.registry.toy import Keys, instance


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """Certificates of all. Clients of xDS ask services for one with the name of the service."""
    authority = Authority.create(tmp_path / "pki")
    for name in ("registry", "customer", "action"):
        authority.issue(Names(name=name, hosts=("127.0.0.1", name)))
    return authority.folder


@pytest.fixture
async def mesh(var: Path, pki: Path) -> AsyncIterator[Mesh]:
    files = {"tls_certificate": "{service}.pem", "tls_key": "{service}.key", "tls_ca": CA}
    async with Mesh(var, **{name: f"{pki}/{file}" for name, file in files.items()}) as mesh:
        yield mesh


async def service(
    mesh: Mesh, registry: RunningRegistry, name: str, stack: AsyncExitStack
) -> LeaseRegistry:
    """The registry as a service with a certificate uses it."""
    certificate = Certificate.of(mesh.settings, name)
    assert certificate is not None
    tls = await stack.enter_async_context(Credentials(certificate))
    key = ServiceKey.load(mesh.settings.key_dir, name)
    found = LeaseRegistry([registry.address], opener(key, tls), patience=QUICK)
    return await stack.enter_async_context(found)


async def test_services_and_stock_clients_come_with_certificates(
    mesh: Mesh, registry: RunningRegistry, pki: Path
) -> None:
    """One registers, another one finds it, a client calls it by xDS."""
    shown = (pki / CA, pki / "action.key", pki / "action.pem")
    async with AsyncExitStack() as stack:
        customer = await service(mesh, registry, "customer", stack)
        action = await service(mesh, registry, "action", stack)
        await stack.enter_async_context(instance(mesh, Keys("a"), customer))
        await until(lambda: len(action.lookup("customer")) == 1)
        client = await stack.enter_async_context(stock_client(registry.address, certificates=shown))
        await client.until(lambda seen: seen == {"a": 10})


async def test_without_a_certificate_nobody_is_heard(registry: RunningRegistry) -> None:
    """He goes on without the registry, as if it were away."""
    patience = Patience(keepalive_s=0.1, silent_s=2.0, start_s=0.5)
    async with registry.client("action", patience=patience) as action:
        assert not action.is_connected
        with pytest.raises(MeshError, match="No registry answers"):
            await action.set_route(action.route("customer"))
