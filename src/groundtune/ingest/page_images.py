"""Draw a page of a PDF as a picture, in a process of its own with limits. Never draws in this process.

A file that hangs or crashes pdfium, or takes it over, ends that process alone; what comes back is bounded and must
begin like a picture.
"""

import asyncio
import sys
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.originals import SENTENCES
from groundtune.ingest.page_worker import CHANGED, GONE, NO_PAGE, NO_ROOM

SECONDS = 20.0
"""Time for one page."""
MEMORY_MB = 1024
"""Memory beyond what the process has at its start, in MiB (Linux)."""
WIDTH = 1_400
"""Pixels of the width."""
LONGEST = 4_000
"""Pixels of the longer side at most: a page may be a strip of any length."""
MOST_BYTES = 32_000_000
PNG = b"\x89PNG\r\n\x1a\n"


async def draw_page(path: Path, page: int, *, digest: str | None) -> bytes:
    """Return a page of a PDF as PNG. page: from 1. digest: SHA-256 of the file that is meant; any other is refused.

    Raises ParseError when the file is gone or has changed, has no such page, or cannot be drawn.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "groundtune.ingest.page_worker"),
        *(str(path.absolute()), str(page), digest or "", str(WIDTH), str(LONGEST), str(MEMORY_MB)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            picture = await _picture(process.stdout)
            code = await process.wait()
    except TimeoutError:
        raise ParseError(f"drawing page {page:,} took longer than {SECONDS:g} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code == 0 and picture.startswith(PNG):
        return picture
    raise _failure(code, page)


async def _picture(stream: asyncio.StreamReader | None) -> bytes:
    """Return what the process sends. Raises ParseError for more than any page takes."""
    assert stream is not None
    received = bytearray()
    while piece := await stream.read(1 << 20):
        received += piece
        if len(received) > MOST_BYTES:
            raise ParseError("its page makes a picture that is too large")
    return bytes(received)


def _failure(code: int, page: int) -> ParseError:
    if code == GONE:
        return ParseError(SENTENCES["gone"])
    if code == CHANGED:
        return ParseError(SENTENCES["changed"])
    if code == NO_PAGE:
        return ParseError(f"it has no page {page:,}")
    if code == NO_ROOM:
        return ParseError(f"drawing page {page:,} needs more than {MEMORY_MB:,} MB of memory")
    return ParseError(f"page {page:,} cannot be drawn: the file is damaged, or encrypted")
