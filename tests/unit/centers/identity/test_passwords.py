"""Password hashes, and the bounds on computing them."""

from __future__ import annotations

import asyncio
import threading

import argon2
import pytest

from centers.identity.passwords import Passwords
from mesh.errors import MeshError, MeshReason

DEARER = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)


class Gated(argon2.PasswordHasher):
    """A hasher that waits for `gate` after it said that it `began`."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.gate = threading.Event()
        self.began = threading.Semaphore(0)
        self.gate.set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.began.release()
        assert self.gate.wait(10)
        return super().hash(password, salt=salt)


async def test_a_password_is_verified_against_its_hash(passwords: Passwords) -> None:
    """The right password matches, another does not."""
    kept = await passwords.hash("correct horse")
    assert kept.startswith("$argon2id$")
    assert await passwords.verify(kept, "correct horse")
    assert not await passwords.verify(kept, "correct horsf")


async def test_nothing_matches_a_user_that_does_not_exist(passwords: Passwords) -> None:
    """Without a hash no password is right, not even that of the hash that stands in for it."""
    passwords._dummy = await passwords.hash("correct horse")
    assert not await passwords.verify(None, "correct horse")


async def test_an_unknown_user_costs_as_much_as_a_known_one() -> None:
    """The hash that stands in for a missing one has the parameters of real ones."""
    async with Passwords(DEARER) as passwords:
        assert not passwords.outdated(passwords._dummy)


async def test_a_hash_with_other_parameters_is_outdated(passwords: Passwords) -> None:
    """A hash made at another cost is to be made anew."""
    assert not passwords.outdated(await passwords.hash("correct horse"))
    assert passwords.outdated(DEARER.hash("correct horse"))


async def test_production_uses_the_recommended_parameters() -> None:
    """Without a hasher of its own it costs what the library recommends."""
    async with Passwords() as passwords:
        kept = await passwords.hash("correct horse")
    assert not argon2.PasswordHasher().check_needs_rehash(kept)


async def test_too_many_at_once_are_refused() -> None:
    """What is under way and what waits is bounded; places come back."""
    hasher = Gated()
    async with Passwords(hasher, threads=1, max_waiting=2) as passwords:
        hasher.gate.clear()
        waiting = [asyncio.create_task(passwords.hash("one")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(MeshError) as refused:
            await passwords.hash("one too many")
        assert refused.value.reason is MeshReason.OVERLOADED
        assert refused.value.retry_after_s == 1
        hasher.gate.set()
        await asyncio.gather(*waiting)
        await passwords.hash("again")


async def test_giving_up_gives_the_place_back() -> None:
    """A cancelled call that had not begun frees its place at once, one that had when it ends."""
    hasher = Gated()
    async with Passwords(hasher, threads=1, max_waiting=2) as passwords:
        hasher.began.acquire()
        hasher.gate.clear()
        running = asyncio.create_task(passwords.hash("running"))
        waiting = asyncio.create_task(passwords.hash("waiting"))
        await asyncio.to_thread(hasher.began.acquire)
        waiting.cancel()
        running.cancel()
        await asyncio.wait([running, waiting])
        assert running.cancelled()
        assert waiting.cancelled()
        hasher.gate.set()
        assert await passwords.hash("first")
        assert await passwords.hash("second")


async def test_hashing_does_not_hold_up_the_loop() -> None:
    """While a hash is computed other tasks run."""
    hasher = Gated()
    async with Passwords(hasher) as passwords:
        hasher.gate.clear()
        hashing = asyncio.create_task(passwords.hash("slow"))
        await asyncio.sleep(0)
        assert not hashing.done()
        hasher.gate.set()
        assert await hashing
