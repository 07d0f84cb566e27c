"""What a killed client held is returned by the next one on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

from sequencer.sdk import (
    Lease,
    LocalRangeSource,
    Sequencer,
    SequencerError,
    SequencerUnavailable,
    Tail,
)
from sequencer.sdk import _journal as journal_module
from sequencer.sdk._holdings import PIECE, Holdings
from sequencer.sdk._journal import Journal, recover

NAME = "test.ids"

CLIENT = """
import os, sys
from pathlib import Path
from sequencer.sdk import LocalRangeSource, Sequencer

source = LocalRangeSource()
for name in ("test.ids", "other.ids"):
    source.create(name)
sequencer = Sequencer(source, journal=Path(sys.argv[1])).__enter__()
ids, others = sequencer.sequence("test.ids"), sequencer.sequence("other.ids")
others.next_id()
for _ in range(3):
    ids.next_ids(300_000)
next_id = ids.next_id
last = [next_id() for _ in range(100_000)][-1]
if sys.argv[2] == "with a child":
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, b"!")
        sys.stdin.read()
        os._exit(0)
    os.read(reading, 1)
print(last, ids.stats().held, flush=True)
sys.stdin.read()
"""


class Source(LocalRangeSource):
    """Notes what is given back; may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.create(NAME)
        self.returned: list[Tail] = []
        self.failures: Iterator[Exception] = iter(())

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:
        for failure in self.failures:
            raise failure
        self.returned.append(tail)
        super().give_back(tail, timeout_s=timeout_s)


def lease(number: int, size: int) -> Lease:
    return Lease(number=number, mark=77, position=size, first=1, size=size)


def recovered(folder: Path, give_back: Callable[[Tail], None]) -> int:
    return sum(recover(folder, give_back))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def killed(folder: Path, mode: str = "plain") -> Iterator[tuple[int, int]]:
    """The last id, and the ids still held, of a client that was killed; its child may live on."""
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, folder, mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    last, held = map(int, client.stdout.readline().split())
    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    yield last, held
    client.stdin.close()
    client.stdout.close()


@pytest.mark.parametrize("mode", ["alone", "with a child"])
def test_a_kill_costs_at_most_one_piece(mode: str, tmp_path: Path) -> None:
    """After SIGKILL all comes back but what was opened, nothing that was used."""
    tails: list[Tail] = []
    with killed(tmp_path, mode) as (last, held):
        returned = recovered(tmp_path, tails.append)

    assert {tail.name for tail in tails} >= {NAME}
    ours = [tail for tail in tails if tail.name == NAME]
    assert len(ours) == 1, "all other leases were used up"
    others = returned - held
    assert -PIECE <= others <= 1_000, "one piece of ours at most, and the other sequence's"
    assert -others <= ours[0].lost <= PIECE, "and it is told how many may be lost"
    assert last > 900_000
    assert not list(tmp_path.iterdir())
    assert recovered(tmp_path, tails.append) == 0


def test_the_next_client_returns_it(tmp_path: Path) -> None:
    """It does so on behalf of the dead client, once it has ids of its own."""
    with killed(tmp_path):
        (dead,) = tmp_path.iterdir()
    source = Source()
    with Sequencer(source, journal=tmp_path, create_missing=True) as sequencer:
        sequencer.sequence(NAME).next_id()
        until(lambda: not dead.exists())
        sequencer.sequence("third.ids").next_id()

    own = {tail.client_id for tail in source.returned if tail.name == "third.ids"}
    others = {tail.client_id for tail in source.returned} - own
    assert len(own) == len(others) == 1
    assert not list(tmp_path.iterdir())


def test_the_last_piece_of_a_lease_is_told_of_until_the_next_lease_is_begun(
    tmp_path: Path,
) -> None:
    """Whatever is used of it: a kill may lose it, though nothing is left to return."""
    first, second = lease(1, 10), lease(2, 10)

    def left(*notes: tuple[Lease, int, int]) -> list[tuple[int, int, int]]:
        journal = Journal(tmp_path, f"dead{len(notes)}")
        for one in (first, second):
            journal.add(NAME, one)
        for note in notes:
            journal.note(NAME, *note)
        journal.abandon()
        tails: list[Tail] = []
        recovered(tmp_path, tails.append)
        return [(tail.lease_number, tail.used, tail.lost) for tail in tails]

    assert left((first, 6, 6)) == [(1, 6, 6), (2, 0, 0)]
    assert left((first, 6, 6), (first, 10, 4)) == [(1, 10, 4), (2, 0, 0)]
    assert left((first, 10, 10), (second, 6, 6)) == [(2, 6, 6)]
    assert left((first, 10, 10), (second, 10, 10), (second, 10, 0)) == []


def test_a_clean_end_tells_of_no_loss(tmp_path: Path) -> None:
    """Neither when the last id was taken, nor when the ids that are left go to the next client."""
    source = Source()
    with Sequencer(source, journal=tmp_path) as sequencer:
        ids = sequencer.sequence(NAME)
        ids.next_id()
        ids.next_ids(ids.stats().held)
    assert not list(tmp_path.iterdir())

    with Sequencer(source, journal=tmp_path) as sequencer:
        taken = len([sequencer.sequence(NAME).next_id() for _ in range(30)])
        source.failures = repeat(SequencerUnavailable("away"))
    source.failures = iter(())
    tails: list[Tail] = []
    recovered(tmp_path, tails.append)
    assert (tails[0].used, {tail.lost for tail in tails}) == (taken, {0})


def test_what_one_call_takes_is_its_own() -> None:
    """Of a call for more than a piece no more is told of than of any other; once sealed nothing."""
    notes: list[tuple[int, int]] = []
    holdings = Holdings(lambda _, used, lost: notes.append((used, lost)))
    holdings.put(lease(1, 5 * PIECE))
    for most in (3 * PIECE, 100):
        holdings.open(most)
        holdings.cut(most - 10)
    holdings.seal()
    holdings.seal()

    assert notes == [(3 * PIECE, PIECE), (3 * PIECE + 100, 100), (3 * PIECE + 90, 0)]


def test_a_living_client_keeps_its_own(tmp_path: Path) -> None:
    """A journal whose owner lives is left alone."""
    journal = Journal(tmp_path, "alive")
    journal.add(NAME, lease(1, 10))
    tails: list[Tail] = []

    assert recovered(tmp_path, tails.append) == 0
    journal.abandon()
    assert recovered(tmp_path, tails.append) == 10
    assert tails == [Tail(name=NAME, client_id="alive", lease_number=1, mark=77, used=0)]


def test_after_another_boot_nothing_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last writes before a loss of power may be missing."""
    journal = Journal(tmp_path / "journal", "lost")
    journal.add(NAME, lease(1, 10))
    journal.abandon()
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(journal_module, "BOOT_ID", boot)

    assert recovered(tmp_path / "journal", lambda _: None) == 0
    assert not list((tmp_path / "journal").iterdir())


def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    """Everything is returned to the last id, and the file is removed."""
    source = Source()
    with Sequencer(source, journal=tmp_path) as sequencer:
        ids = sequencer.sequence(NAME)
        last = ids.next_id()
        assert list(tmp_path.glob("*.tails"))

    assert (last, source.returned[0].used) == (1, 1)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_returned_stays_written_down(tmp_path: Path) -> None:
    """A client that ends while the sequencer is away leaves it to the next one."""
    source = Source()
    with Sequencer(source, journal=tmp_path) as sequencer:
        sequencer.sequence(NAME).next_id()
        source.failures = iter([SequencerUnavailable("away")])
    assert not source.returned
    (left,) = tmp_path.iterdir()

    with Sequencer(source, journal=tmp_path) as sequencer:
        sequencer.sequence(NAME).next_ids(2_000)
        until(lambda: not left.exists())

    assert source.returned
    assert not list(tmp_path.iterdir())


def test_a_sequencer_that_is_away_is_told_later(tmp_path: Path) -> None:
    """A journal that could not be returned is tried again after a later refill."""
    journal = Journal(tmp_path, "dead")
    journal.add(NAME, lease(1, 10))
    journal.abandon()

    def away(_: Tail) -> None:
        raise SequencerUnavailable("away")

    with pytest.raises(SequencerUnavailable):
        recovered(tmp_path, away)
    assert recovered(tmp_path, lambda _: None) == 10


def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client works without a journal."""
    (tmp_path / "file").write_text("")
    with Sequencer(Source(), journal=tmp_path / "file") as sequencer:
        assert sequencer.sequence(NAME).next_ids(5_000)
        assert sequencer.sequence(NAME).next_ids(5_000)

    assert caplog.text.count("journal_not_written") == 1


def test_slots_are_used_again(tmp_path: Path) -> None:
    """A client that lives long keeps a small file."""
    journal = Journal(tmp_path, "old")
    for number in range(1, 1_000):
        journal.add(NAME, lease(number, 10))
        journal.note(NAME, lease(number, 10), 10, 10)
    journal.note(NAME, lease(number, 10), 10, 0)

    assert next(tmp_path.iterdir()).stat().st_size < 1_024
    journal.close()
    assert not list(tmp_path.iterdir())


def test_a_fence_jump_leaves_nothing_to_return(tmp_path: Path) -> None:
    """Ids that were dropped may be somebody else's: they are not returned either."""
    source = Source()
    with Sequencer(source, journal=tmp_path) as sequencer:
        ids = sequencer.sequence(NAME)
        ids.next_id()
        source._states[NAME].granted.clear()
        ids.next_ids(2_000)
        source.failures = iter([SequencerUnavailable("away")])
        assert ids.stats().fence_jumps == 1
        assert ids.stats().wasted > 0
    tails: list[Tail] = []
    recovered(tmp_path, tails.append)

    assert all(tail.lease_number > 1 for tail in tails)


def test_ids_are_not_given_when_their_use_cannot_be_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that fails is removed; when even that fails its ids are refused."""
    journal = Journal(tmp_path, "full")
    journal.add(NAME, lease(1, 10))

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", full)
        with pytest.raises(SequencerError, match="cannot be written"):
            journal.note(NAME, lease(1, 10), 5, 5)
    journal.note(NAME, lease(1, 10), 5, 5)

    assert not list(tmp_path.iterdir())
    journal.abandon()


def test_a_spoiled_journal_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that nobody can read is told of, and the client works on."""
    journal = Journal(tmp_path, "dead")
    journal.add(NAME, lease(1, 10))
    journal.abandon()
    (spoiled,) = tmp_path.iterdir()
    spoiled.write_bytes(spoiled.read_bytes()[:-120] + b"\xff" * 120)
    with Sequencer(Source(), journal=tmp_path) as sequencer:
        sequencer.sequence(NAME).next_id()
        until(lambda: "journal_not_read" in caplog.text)
        assert len([*chain.from_iterable(sequencer.sequence(NAME).next_ids(9_000))]) == 9_000


@pytest.mark.parametrize("spoil", ["garbage", "folder", "forbidden"])
def test_a_spoiled_journal_keeps_no_other_from_being_recovered(
    spoil: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays, and is told of once; what sorts after it is given back."""
    spoiled = tmp_path / "a.tails"
    spoiled.mkdir() if spoil == "folder" else spoiled.write_bytes(b"\xff" * 600)
    if spoil == "forbidden":
        monkeypatch.setattr(os, "open", forbidding(spoiled))
    journal = Journal(tmp_path, "dead")
    journal.add(NAME, lease(1, 10))
    journal.abandon()

    assert recovered(tmp_path, lambda _: None) == 10
    assert list(tmp_path.iterdir()) == [spoiled]
    assert caplog.text.count("journal_not_read") == 1


def test_a_journal_that_was_never_finished_is_removed(tmp_path: Path) -> None:
    """By the next client, unless its maker may be at it still."""
    draft = tmp_path / "dead.new"
    draft.touch()

    assert recovered(tmp_path, lambda _: None) == 0
    assert list(tmp_path.iterdir()) == [draft]
    os.utime(draft, (0, 0))
    assert recovered(tmp_path, lambda _: None) == 0
    assert not list(tmp_path.iterdir())


def forbidding(path: Path) -> Callable[..., int]:
    """`os.open` for somebody who must not open one file; root may open all."""
    allowed = os.open

    def opened(file: Path, *others: int) -> int:
        if file == path:
            raise PermissionError(13, "Permission denied", str(file))
        return allowed(file, *others)

    return opened
