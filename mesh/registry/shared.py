"""A registry on Redis: several processes of it hold one table.

All keys are in one slot. Time is the server's own, so that clocks of hosts do not matter. Each
process keeps a copy and answers from it; what another one writes reaches it by a stream that
it waits on. Without Redis it goes on showing what it knew last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from engine.mesh.v1 import registry_pb2 as pb
from mesh.background import Background
from mesh.errors import MeshError, MeshReason
from mesh.log import get_logger
from mesh.redis import RedisClient, RedisUnavailable
from mesh.registry import shared_scripts as scripts
from mesh.registry._base import Entry, Route, State
from mesh.registry.errors import RegistryReason
from mesh.registry.leases import LOOK_S, new_lease_id
from mesh.registry.memory import MAX_ENTRIES
from mesh.registry.table import LOAD_STEP, Table
from mesh.registry.watcher import Key, key_of
from mesh.registry.wire import to_entry, to_instance, to_message, to_route

ANSWER_S: Final = 1.0
"""How much longer than it blocks a waiting command may take."""
GATHER_S: Final = 0.01
"""After a change it is waited so long for others: a rolling restart makes many."""
AGAIN_S: Final = 0.5
"""Between attempts to reach Redis."""
PARTS: Final = ("meta", "entries", "leases", "due", "routes", "news")

_log = get_logger(__name__)


class SharedTable(Background):
    """Keeps `table` as Redis has it for as long as it is entered (`mesh.registry.rpc.Source`).

    When Redis has lost its keys, the instances that were known stay in the table for as long
    as a lease lasts: those that live register again meanwhile.

    Args:
        table: kept true.
        redis: reaches Redis.
        lease_s: how long a lease lasts.
        prefix: begins every key.
    """

    def __init__(
        self, table: Table, redis: RedisClient, lease_s: float, prefix: str = "engine:{registry}"
    ) -> None:
        self._table = table
        self._redis = redis
        self._lease_ms = int(lease_s * 1_000)
        self._keys = [f"{prefix}:{part}" for part in PARTS]
        self._scripts = {
            name: redis.script(getattr(scripts, name))
            for name in ("REGISTER", "RENEW", "WITHDRAW", "ROUTE", "LOOK")
        }
        self._epoch, self._version, self._news = b"", b"", b"0-0"
        self._settles_ms = 0
        self._kept: dict[Key, Entry] = {}
        table.settle(settled=False)

    async def register(self, entry: Entry) -> str:
        lease_id = new_lease_id()
        raw = to_instance(entry).SerializeToString(deterministic=True)
        if not await self._do(
            "REGISTER", _name(key_of(entry)), lease_id, self._lease_ms, raw, MAX_ENTRIES
        ):
            raise MeshError(RegistryReason.TABLE_FULL)
        return lease_id

    async def renew(self, key: Key, lease_id: str, load: float) -> bool:
        known = self._table.get(key)
        moved = known is not None and abs(known.load - load) >= LOAD_STEP - 1e-9
        entry = replace(known, load=load) if known is not None and moved else None
        return await self._renew(key, lease_id, entry)

    async def drain(self, key: Key, lease_id: str) -> bool:
        known = self._table.get(key)
        if known is None:  # written so recently that the copy has it not yet
            await self.look()
            known = self._table.get(key)
        drained = replace(known, state=State.DRAINING) if known is not None else None
        return drained is not None and await self._renew(key, lease_id, drained)

    async def withdraw(self, key: Key, lease_id: str) -> None:
        await self._do("WITHDRAW", _name(key), lease_id)

    async def set_route(self, route: Route) -> None:
        kept = route.rules or route.splits
        raw = to_message(route).SerializeToString(deterministic=True) if kept else b""
        await self._do("ROUTE", route.service, raw)

    async def look(self) -> None:
        """Take out those whose leases have run out, and be as Redis is.

        Raises:
            RedisUnavailable: it cannot be asked.
        """
        now, epoch, version, self._news, over, *table = await self._scripts["LOOK"](
            keys=self._keys, args=[self._lease_ms, self._epoch, self._version]
        )
        for name in over:
            _log.warning("lease_ran_out", instance=name.decode())
        if epoch != self._epoch:
            self._begin(epoch, now)
        is_settled = now >= self._settles_ms
        if is_settled and self._kept:
            self._kept.clear()
            self._version = b""  # to be read once more, without what was kept
            await self.look()
            return
        if table:
            self._version = version
            self._copy(*table)
        self._table.settle(settled=is_settled)

    def _begin(self, epoch: bytes, now_ms: int) -> None:
        """Redis has begun another table: what was known may be gone, or not yet back."""
        begun_ms = int(epoch)
        if self._epoch:
            begun_ms = now_ms
            _log.error("registry_wiped", instances=self._table.size)
        self._settles_ms = begun_ms + self._lease_ms
        self._kept = {key_of(entry): entry for entry in self._entries()}
        self._epoch = epoch

    def _copy(self, entries: Sequence[bytes], routes: Sequence[bytes]) -> None:
        found = {key_of(entry): entry for entry in map(_entry, entries)}
        of = [to_route(pb.ServiceRoute.FromString(raw)) for raw in routes]
        named = {route.service for route in of}
        if self._kept:
            of += [r for r in self._table.snapshot().routes.values() if r.service not in named]
        self._table.replace({**self._kept, **found}.values(), of)

    def _entries(self) -> Iterator[Entry]:
        for group in self._table.snapshot().entries.values():
            yield from group

    async def _renew(self, key: Key, lease_id: str, entry: Entry | None) -> bool:
        raw = to_instance(entry).SerializeToString(deterministic=True) if entry else b""
        return bool(await self._do("RENEW", _name(key), lease_id, self._lease_ms, raw))

    async def _do(self, script: str, *args: str | bytes | int) -> Any:
        with _reached():
            return await self._scripts[script](keys=self._keys, args=args)

    async def _run(self) -> None:
        wait_s = LOOK_S + ANSWER_S
        while True:
            try:
                async with self._redis.blocking() as connection:
                    while True:
                        await self.look()
                        await asyncio.sleep(GATHER_S)
                        words = ("XREAD", "COUNT", 1, "BLOCK", int(LOOK_S * 1_000))
                        await connection.execute(
                            *words, "STREAMS", self._keys[-1], self._news, timeout_s=wait_s
                        )
            except RedisUnavailable as error:
                _log.warning("registry_without_redis", problem=str(error))
                await asyncio.sleep(AGAIN_S)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except RedisUnavailable as error:
        raise MeshError(MeshReason.UNAVAILABLE, "The registry cannot reach Redis") from error


def _name(key: Key) -> str:
    return "/".join(key)


def _entry(raw: bytes) -> Entry:
    return to_entry(pb.Instance.FromString(raw))
