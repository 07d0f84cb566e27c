"""The child: `python -m centers.materials.pdf.worker` reads one frame and answers one.

Documents come from outside, and parsing them is where readers of PDF have always
been broken. So it happens in a process of its own that has no socket, no
database, no key and no environment of ours, may open no file for writing, and
ends when its share of memory or processor is used up: a document can hurt
itself alone. A thread would share all of that, and hold up the event loop
besides, since much of qpdf runs under the interpreter's lock. A pool that forks
is out of the question once gRPC runs; a pool that is kept would keep what one
document did to it. Starting an interpreter costs about a
quarter of a second, which only writing a document or cutting one up pays.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from typing import Any

import pikepdf
from pikepdf import settings

from centers.materials.pdf import frame
from centers.materials.pdf.bounds import CPU_S, DECODED_BYTES, MEMORY_BYTES
from centers.materials.pdf.excerpt import excerpt, sparse
from centers.materials.pdf.normal import normal
from centers.materials.pdf.refusal import Refusal, Refused


def confine() -> None:
    """Give up what a parser does not need."""
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, limit in limits.items():
        resource.setrlimit(name, (limit, limit))
    settings.set_qpdf_limits(
        flate_max_memory=DECODED_BYTES,
        run_length_max_memory=DECODED_BYTES,
        dct_max_memory=DECODED_BYTES,
        png_max_memory=DECODED_BYTES,
        tiff_max_memory=DECODED_BYTES,
    )


def answer(header: Mapping[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """The answer to a frame; a refusal is one."""
    try:
        if header["task"] == "normal":
            made = normal(content)
            return made.header(), made.content
        source = sparse(header["size_bytes"], header["spans"], content)
        pages = excerpt(source, header["first"], header["last"])
        return {"size_bytes": len(pages)}, pages
    except Refused as refused:
        return {"refusal": refused.refusal, "fact": refused.fact}, b""
    except MemoryError:
        return {"refusal": Refusal.TOO_COMPLEX, "fact": "memory"}, b""
    except pikepdf.PdfError:
        return {"refusal": Refusal.NOT_A_PDF, "fact": ""}, b""


def main() -> None:
    """Answer what stands at standard input."""
    confine()
    header, content = answer(*frame.receive(sys.stdin.buffer))
    sys.stdout.buffer.write(frame.head(header))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
