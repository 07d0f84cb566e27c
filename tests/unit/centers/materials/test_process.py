"""The child that parses documents: what it answers, and that its bounds hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
from pikepdf import Dictionary, Name, Pdf

from centers.materials.errors import MaterialReason
from centers.materials.pdf import frame, process
from centers.materials.pdf.normal import normal
from centers.materials.pdf.process import PdfProcess
from mesh.errors import MeshError
from tests.unit.centers.materials.paper import booklet

TIMEOUT_S = 60.0


async def bytes_of(source: bytes, part: int = 1 << 20) -> AsyncIterator[bytes]:
    for start in range(0, len(source), part):
        yield source[start : start + part]


async def rewritten(source: bytes) -> bytes:
    run = PdfProcess().run({"task": "normal"}, bytes_of(source), timeout_s=TIMEOUT_S)
    async with run as reply:
        return b"".join([piece async for piece in reply.pieces(50_000)])


async def refusal(source: bytes) -> MeshError:
    with pytest.raises(MeshError) as failed:
        await rewritten(source)
    return failed.value


async def test_a_child_rewrites_a_document() -> None:
    """It comes back in pieces, as it would be rewritten here."""
    source = booklet(pages=4)
    assert await rewritten(source) == normal(source).content


async def test_a_child_says_why_it_takes_no_document() -> None:
    """As a reason of the contract, with what was found."""

    def act(pdf: Pdf) -> None:
        pdf.Root.OpenAction = Dictionary(S=Name.Launch, F=b"cmd.exe")

    assert (await refusal(b"no document")).reason is MaterialReason.NOT_A_PDF
    active = await refusal(booklet(change=act))
    assert (active.reason, active.metadata) == (MaterialReason.PDF_ACTIVE, {"found": "/Launch"})


async def test_a_child_has_nothing_of_ours(monkeypatch: pytest.MonkeyPatch, var: Path) -> None:
    """Neither secrets of the environment, nor a file to write, nor memory without end."""
    (var / "spy.py").write_text(SPY)
    monkeypatch.setenv("ENGINE_OTLP_TOKEN", "secret")
    monkeypatch.setattr(process, "_MODULE", "spy")
    environment = {**process._ENVIRONMENT, "PYTHONPATH": f"{process._ROOT}:{var}"}
    monkeypatch.setattr(process, "_ENVIRONMENT", environment)
    run = PdfProcess().run({"path": str(var / "stolen")}, bytes_of(b""), timeout_s=TIMEOUT_S)
    async with run as reply:
        assert reply.header["names"] == sorted(environment)
        assert reply.header["done"] == []


SPY = """
import os, signal, sys
from centers.materials.pdf import bounds, frame, worker

worker.confine()
header, _ = frame.receive(sys.stdin.buffer)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
done = []
try:
    with open(header["path"], "w") as file:
        file.write("mine")
    done.append("wrote")
except OSError:
    pass
try:
    bytearray(bounds.MEMORY_BYTES)
    done.append("grew")
except MemoryError:
    pass
names = sorted(name for name in os.environ if name != "LC_CTYPE")
sys.stdout.buffer.write(frame.head({"names": names, "done": done, "size_bytes": 0}))
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", MaterialReason.PDF_TOO_COMPLEX),
        ("raise SystemExit(3)", MaterialReason.NOT_A_PDF),
        ("while True: pass", MaterialReason.DOCUMENTS_BUSY),
    ],
    ids=["killed", "failed", "endless"],
)
async def test_a_child_that_does_not_answer_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, var: Path, code: str, reason: MaterialReason
) -> None:
    """Its end is told apart: by a bound, by an error, or by the clock."""
    (var / "broken.py").write_text(code)
    monkeypatch.setattr(process, "_MODULE", "broken")
    monkeypatch.setattr(process, "_ENVIRONMENT", {"PYTHONPATH": str(var)})
    limit = 0.5 if "while" in code else TIMEOUT_S
    with pytest.raises(MeshError) as failed:
        async with PdfProcess().run({}, bytes_of(bytes(1 << 22)), timeout_s=limit):
            pass
    assert failed.value.reason is reason


async def test_who_leaves_takes_his_child_along(monkeypatch: pytest.MonkeyPatch, var: Path) -> None:
    """A call that is cancelled while the child is at work leaves no process behind."""
    (var / "endless.py").write_text(ENDLESS)
    monkeypatch.setattr(process, "_MODULE", "endless")
    monkeypatch.setattr(process, "_ENVIRONMENT", {"PYTHONPATH": f"{process._ROOT}:{var}"})
    children, children_ids = PdfProcess(), asyncio.Queue[int]()

    async def one() -> None:
        async with children.run({}, bytes_of(b""), timeout_s=TIMEOUT_S) as reply:
            children_ids.put_nowait(reply.header["pid"])
            await asyncio.Event().wait()

    call = asyncio.create_task(one())
    child = await children_ids.get()
    os.kill(child, 0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert children.present == 0


ENDLESS = """
import os, sys
from centers.materials.pdf import frame

sys.stdout.buffer.write(frame.head({"pid": os.getpid(), "size_bytes": 9}))
sys.stdout.buffer.flush()
while True:
    pass
"""


async def test_children_and_those_who_wait_for_one_are_bounded() -> None:
    """One too many is told to come again."""
    children = PdfProcess(workers=1, waiting=1)
    goes_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        await goes_on.wait()
        yield booklet()

    async def one() -> int:
        run = children.run({"task": "normal"}, slowly(), timeout_s=TIMEOUT_S)
        async with run as reply:
            return len(reply.header["page_ranges"])

    begun = [asyncio.create_task(one()) for _ in range(2)]
    while children.present < 2:  # noqa: ASYNC110 - nobody else needs to be told
        await asyncio.sleep(0)
    with pytest.raises(MeshError) as failed:
        await one()
    assert failed.value.reason is MaterialReason.DOCUMENTS_BUSY
    assert failed.value.retry_after_s
    goes_on.set()
    assert await asyncio.gather(*begun) == [3, 3]


def test_a_frame_comes_as_it_went() -> None:
    """Header and bytes; a header without end is refused before it is read."""
    sent = frame.head({"task": "normal"}) + b"content"
    assert frame.receive(BytesIO(sent)) == ({"task": "normal"}, b"content")
    with pytest.raises(frame.FrameError):
        frame.header_bytes(b"\xff\xff\xff\xff")
