"""What waits to be sent: small replies never behind large ones, and all of it counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.lane.frames import FRAGMENT, FULL_BYTES, FULL_FRAMES, MAX_BATCH, EndFrame, encode
from mesh.lane.outbox import Outbox

SIZES = st.sampled_from([0, 1, 100, FRAGMENT - 1, FRAGMENT, FRAGMENT + 1, 3 * FRAGMENT, 200_000])


def ending(number: int, reply: bytes = b"", text: str = "no") -> EndFrame:
    return number, 5, text, [], [], reply


def test_a_small_reply_is_behind_no_more_than_one_batch_of_large_ones() -> None:
    """It goes out with the very next batch, however many large replies wait."""
    outbox = Outbox()
    for number in range(100):
        outbox.reply(number, bytes(10 * FRAGMENT))
    outbox.take()
    outbox.reply(1_000, b"small")
    outbox.end(ending(1_001))
    _, replies, endings, _ = outbox.take()
    assert (1_000, b"small") in replies
    assert [frame[0] for frame in endings] == [1_001]


def test_large_replies_take_turns_piece_by_piece() -> None:
    """A reply that is a little larger than another ends a little later, whoever came first."""
    outbox = Outbox()
    outbox.reply(1, bytes(20 * FRAGMENT))
    outbox.reply(2, bytes(2 * FRAGMENT))
    ended: list[int] = []
    while outbox:
        ended += [number for number, _ in outbox.take()[1]]
    assert ended == [2, 1]


def test_large_replies_take_half_a_batch_at_most() -> None:
    """The other half is for the small ones."""
    outbox = Outbox()
    for number in range(10):
        outbox.reply(number, bytes(4 * FRAGMENT))
    pieces, *_ = outbox.take()
    assert sum(len(piece) for _, piece in pieces) <= FULL_BYTES // 2


def test_an_ending_goes_out_though_replies_never_end() -> None:
    """Errors do not starve behind a server that is busy with good answers."""
    outbox = Outbox()
    outbox.end(ending(0))
    for number in range(1, 20):
        outbox.reply(number, bytes(FRAGMENT))
    *_, endings, _ = outbox.take()
    assert [frame[0] for frame in endings] == [0]


def test_a_batch_has_a_bounded_number_of_replies() -> None:
    """Many small ones go in several batches."""
    outbox = Outbox()
    for number in range(3 * FULL_FRAMES):
        outbox.reply(number, b"")
        outbox.end(ending(number))
    _, replies, endings, _ = outbox.take()
    assert len(replies) == len(endings) == FULL_FRAMES


def test_what_is_empty_counts_for_something() -> None:
    """A client that does not read cannot have answers without end kept for it."""
    outbox = Outbox()
    outbox.reply(1, b"")
    one = outbox.unsent
    outbox.end(ending(2, text=""))
    assert outbox.unsent == 2 * one > 0


def test_nothing_waits_once_it_is_cleared() -> None:
    """A lane that is lost keeps nothing."""
    outbox = Outbox()
    outbox.reply(1, bytes(5 * FRAGMENT))
    outbox.end(ending(2))
    outbox.clear()
    assert not outbox
    assert outbox.unsent == 0


@given(st.lists(st.tuples(st.booleans(), SIZES, st.integers(0, 3)), max_size=30))
def test_every_reply_comes_out_whole_and_the_count_comes_to_nothing(
    steps: list[tuple[bool, int, int]],
) -> None:
    """In any interleaving: the bytes of each, one end of each, batches within the bound."""
    outbox = Outbox()
    sent: dict[int, bytes] = {}
    got: dict[int, bytes] = {}
    ended: list[int] = []

    def take() -> None:
        pieces, replies, endings, _ = batch = outbox.take()
        assert len(encode(batch)) < MAX_BATCH
        assert outbox.unsent >= 0
        for number, part in (*pieces, *replies, *((frame[0], frame[5]) for frame in endings)):
            assert number not in ended
            got[number] = got.get(number, b"") + part
        ended.extend(number for number, _ in replies)
        ended.extend(frame[0] for frame in endings)

    for number, (is_plain, size, takes) in enumerate(steps):
        sent[number] = bytes([number]) * size
        if is_plain:
            outbox.reply(number, sent[number])
        else:
            outbox.end(ending(number, sent[number]))
        for _ in range(takes):
            take()
    while outbox:
        take()
    assert got == sent
    assert sorted(ended) == sorted(sent)
    assert outbox.unsent == 0
