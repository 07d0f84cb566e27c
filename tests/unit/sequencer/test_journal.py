"""A server's own memory of the logs: it outlives the process, and never keeps it from serving."""

from __future__ import annotations

import random
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sequencer.entry import Witness
from sequencer.journal import RETRY_S, WitnessJournal
from sequencer.witness_file import ASIDE
from tests.fault import Worker
from tests.unit.sequencer.witnesses import witness

MODULE = "tests.unit.sequencer.noting"
LARGEST = Witness(number=2**62, mark=2**63 - 1, epoch=2**31, position=2**63 - 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sequencer" / "witnesses.db"


@pytest.fixture
def journal(path: Path) -> Iterator[WitnessJournal]:
    with WitnessJournal(path) as journal:
        yield journal


def kept(path: Path) -> dict[int, Witness]:
    """What a process that starts now finds."""
    with WitnessJournal(path) as journal:
        return dict(journal.all())


def aside(path: Path) -> Path:
    return path.with_name(path.name + ASIDE)


def test_what_was_noted_is_there_for_the_next_process(path: Path) -> None:
    """Of each sequence its newest witness, to the last bit."""
    with WitnessJournal(path) as journal:
        assert journal.read(1) is None
        journal.note(1, witness(5))
        journal.note(2, LARGEST)
        assert journal.read(1) == witness(5)
    assert kept(path) == {1: witness(5), 2: LARGEST}


def test_a_newer_witness_is_never_replaced_by_an_older_one(path: Path) -> None:
    """Epoch before number; whoever noted it, in whatever order."""
    first, second, third = witness(9), witness(3, epoch=1), witness(4, epoch=1)
    with WitnessJournal(path) as one, WitnessJournal(path) as other:
        one.note(1, second)
        other.note(1, first)
        assert one.read(1) == other.read(1) == second
        other.note(1, third)
        one.note(1, second)
        assert one.read(1) == other.read(1) == third
    assert kept(path) == {1: third}


def test_several_are_noted_at_once(journal: WitnessJournal, path: Path) -> None:
    """Ten thousand take one transaction; an older one among them changes nothing."""
    journal.note(7, witness(50))
    journal.note_all({sequence: witness(sequence) for sequence in range(10_000)})
    journal.note_all({})
    assert journal.all() == kept(path)
    assert (len(kept(path)), journal.read(7), journal.read(8)) == (10_000, witness(50), witness(8))


def test_only_its_owner_may_read_it(journal: WitnessJournal, path: Path) -> None:
    """Who learns marks could speak as a witness."""
    journal.note(1, witness(1))
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.glob("*.db*[!k]")}
    assert modes == {0o600}


@pytest.mark.parametrize("writers", [2, 4])
def test_processes_share_a_file(path: Path, tmp_path: Path, writers: int) -> None:
    """All note at once; of each sequence the newest of all is there."""
    with ExitStack() as stack:
        workers = [
            Worker(MODULE, str(path), "10", str(epoch), "300", log=tmp_path / f"{epoch}")
            for epoch in range(writers)
        ]
        for worker in workers:
            stack.enter_context(worker)
        until(lambda: all(len(worker.said) == 300 for worker in workers))
        assert kept(path) == {n % 10: witness(n, writers - 1) for n in range(290, 300)}
        for worker in workers:
            worker.stop()
    assert kept(path) == {n % 10: witness(n, writers - 1) for n in range(290, 300)}


def test_nothing_noted_is_lost_when_the_process_is_killed(path: Path, tmp_path: Path) -> None:
    """Ten times, at whatever moment: the number that it printed last is there, or the next."""
    random_ = random.Random(5)
    for life in range(10):
        log = tmp_path / f"{life}"
        with Worker(MODULE, str(path), "1", str(life), "0", log=log) as worker:
            enough = random_.randrange(1, 200)
            until(lambda: len(worker.said) >= enough)  # noqa: B023 - at once
            worker.kill()
        last = int(log.read_text().rpartition("\n")[0].rpartition("\n")[2])
        assert kept(path)[0] in (witness(last, life), witness(last + 1, life))
    assert not aside(path).exists()


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" * 500, bytes(4096)])
def test_a_file_that_is_none_of_ours_is_put_aside(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept under another name, an error is logged, and a fresh one is begun."""
    path.parent.mkdir()
    path.write_bytes(content)
    with WitnessJournal(path) as journal:
        journal.note(1, witness(1))
    assert aside(path).read_bytes() == content
    assert [record.message for record in caplog.records] == ["journal_damaged"]
    assert kept(path) == {1: witness(1)}


def test_another_database_is_put_aside(path: Path) -> None:
    """One that has a table of the name, and other columns."""
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE witness (name TEXT)")
    other.close()
    with WitnessJournal(path) as journal:
        journal.note(1, witness(1))
    assert aside(path).exists()
    assert kept(path) == {1: witness(1)}


@pytest.mark.parametrize("seed", range(60))
def test_damage_anywhere_makes_no_false_witness(path: Path, seed: int) -> None:
    """Whatever bytes change or are missing: it starts, and what it tells was noted."""
    random_ = random.Random(seed)
    noted = {sequence: witness(sequence + 1, epoch=1) for sequence in range(60)}
    with WitnessJournal(path) as journal:
        journal.note_all(noted)
    data = bytearray(path.read_bytes())
    for _ in range(random_.choice((1, 1, 8, 100))):
        data[random_.randrange(len(data))] = random_.randrange(256)
    if random_.random() < 0.2:
        del data[random_.randrange(len(data)) :]
    path.write_bytes(data)
    with WitnessJournal(path) as journal:
        told = journal.all()
        assert told.items() <= noted.items()
        journal.note(1, witness(9, epoch=2))
        assert journal.read(1) == witness(9, epoch=2)
    assert kept(path)[1] == witness(9, epoch=2)


def test_damage_while_it_is_open_is_survived(path: Path) -> None:
    """What this process noted is in the fresh file, what comes after it too."""
    with WitnessJournal(path) as journal:
        for sequence in range(1_000):
            journal.note(sequence, witness(sequence))
        with sqlite3.connect(path) as other:
            other.execute("UPDATE witness SET position = position + 1 WHERE sequence = 7")
        other.close()
        assert journal.read(7) == witness(7)
        journal.note(1, witness(5_000))
        assert journal.read(7) == witness(7)
        assert not journal.is_behind
    assert aside(path).exists()
    assert kept(path) == {**{n: witness(n) for n in range(1_000)}, 1: witness(5_000)}


def test_one_that_was_put_aside_by_another_process_is_left(path: Path) -> None:
    """Both go on with the fresh one, and neither's end takes anything from it."""
    with WitnessJournal(path) as one:
        one.note(1, witness(1))
        for end in ("-wal", "-shm", ""):
            path.with_name(path.name + end).rename(f"{aside(path)}{end}")
        with WitnessJournal(path) as other:
            other.note(2, witness(2))
            one.note(3, witness(3))
            assert other.all() == {n: witness(n) for n in (1, 2, 3)}
    assert kept(path) == {n: witness(n) for n in (1, 2, 3)}


def test_one_that_ends_after_its_file_was_replaced_brings_what_it_knows(path: Path) -> None:
    """Its end does not take the fresh file's log away, either."""
    with WitnessJournal(path) as other, ExitStack() as one:
        one.enter_context(WitnessJournal(path)).note(1, witness(1))
        for end in ("-wal", "-shm", ""):
            path.with_name(path.name + end).rename(f"{aside(path)}{end}")
        other.note(2, witness(2))
        one.close()
        other.note(2, witness(3))
    assert kept(path) == {1: witness(1), 2: witness(3)}


def test_two_that_find_damage_at_once_begin_one_fresh_file(path: Path, tmp_path: Path) -> None:
    """Neither puts aside what the other has just begun."""
    for attempt in range(5):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no database")
        with ExitStack() as stack:
            workers = [
                Worker(MODULE, str(path), "1", str(n), "20", log=tmp_path / f"{attempt}.{n}")
                for n in range(2)
            ]
            for worker in workers:
                stack.enter_context(worker)
            until(lambda: all(len(worker.said) == 20 for worker in workers))  # noqa: B023
        assert kept(path) == {0: witness(19, 1)}
        for each in path.parent.iterdir():
            each.unlink()


class Time:
    """A clock that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_place_to_write_it_remembers_and_writes_later(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It starts, says so once, and tries again after a while."""
    path.parent.write_bytes(b"a file, not a folder")
    clock = Time()
    with WitnessJournal(path, monotonic=clock) as journal:
        for number in range(100):
            journal.note(number, witness(number))
        assert journal.is_behind
        assert journal.read(5) == witness(5)
        assert [record.message for record in caplog.records] == ["journal_unusable"]
        path.parent.unlink()
        clock.now += RETRY_S
        journal.note(100, witness(100))
        assert not journal.is_behind
        assert kept(path) == {number: witness(number) for number in range(101)}


def test_a_lock_that_stays_delays_a_note_but_does_not_lose_it(path: Path) -> None:
    """Another process was frozen while it wrote: what could not be written is written later."""
    clock = Time()
    with WitnessJournal(path, monotonic=clock) as journal:
        journal.note(1, witness(1))
        frozen = sqlite3.connect(path, isolation_level=None)
        frozen.execute("BEGIN IMMEDIATE")
        for number in range(2, 50):
            journal.note(1, witness(number))
        assert journal.is_behind
        assert journal.read(1) == witness(49)
        frozen.close()
        clock.now += RETRY_S
        journal.note(2, witness(1))
        assert not journal.is_behind
        assert kept(path) == {1: witness(49), 2: witness(1)}


def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; the test's time-out bounds the wait."""
    while not condition():
        time.sleep(0.005)
