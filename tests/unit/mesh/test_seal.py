"""A sealed log shows where it was touched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from mesh.seal import GENESIS, Head, LogCheck, check


@dataclass(frozen=True)
class Line:
    position: int
    text: str
    seal: str


def append(text: str, head: Head) -> Line:
    after = head.followed_by(f"{head.position + 1}\n{text}".encode())
    return Line(after.position, text, after.seal)


def follows(line: Line, head: Head) -> bool:
    return line == append(line.text, head)


def log(count: int) -> list[Line]:
    lines: list[Line] = []
    head = Head()
    for number in range(count):
        lines.append(append(f"entry {number}", head))
        head = Head(position=lines[-1].position, seal=lines[-1].seal)
    return lines


async def checked(lines: Sequence[Line]) -> LogCheck:
    async def blocks() -> AsyncIterator[Sequence[Line]]:
        for start in range(0, len(lines), 3):
            yield lines[start : start + 3]

    return await check(blocks(), follows)


async def test_an_empty_log_is_whole() -> None:
    """Its first entry is still to come."""
    assert await checked([]) == LogCheck(entries=0, seal=GENESIS, broken_at=None)


async def test_an_untouched_log_is_whole() -> None:
    """The newest seal is the one to keep elsewhere."""
    lines = log(7)
    assert await checked(lines) == LogCheck(entries=7, seal=lines[-1].seal, broken_at=None)


@given(at=st.integers(0, 6))
async def test_a_changed_entry_shows_at_its_place(at: int) -> None:
    """Those before it hold."""
    lines = log(7)
    lines[at] = replace(lines[at], text="another")
    found = await checked(lines)
    assert (found.entries, found.broken_at) == (at, at + 1)


@given(at=st.integers(0, 5))
async def test_a_missing_entry_shows_at_its_place(at: int) -> None:
    """Whether or not those behind it are moved up."""
    lines = log(7)
    del lines[at]
    assert (await checked(lines)).broken_at == at + 1
    moved = [replace(line, position=place) for place, line in enumerate(lines, start=1)]
    assert (await checked(moved)).broken_at == at + 1


@given(at=st.integers(0, 6))
async def test_an_entry_that_was_put_in_shows_behind_it(at: int) -> None:
    """It may be sealed well by itself; what follows does not follow it."""
    lines = log(7)
    head = Head(position=at, seal=lines[at - 1].seal if at else GENESIS)
    put_in = append("put in", head)
    touched = [
        *lines[:at],
        put_in,
        *(replace(one, position=one.position + 1) for one in lines[at:]),
    ]
    assert (await checked(touched)).broken_at == at + 2
