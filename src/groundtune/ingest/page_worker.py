"""Draw one page of a PDF as PNG on stdout, in a process of its own: see page_images.py, which starts it.

Started as `python -P -m groundtune.ingest.page_worker PATH PAGE DIGEST WIDTH LONGEST MEMORY_MB`. Why there is no
picture is its exit code.
"""

import hashlib
import os
import sys
from pathlib import Path

from groundtune.ingest.worker_limits import die_with_parent, limit_memory

CHANGED, GONE, NO_PAGE, NO_ROOM = 10, 11, 12, 13
"""Exit codes."""


def draw(data: bytes, page: int, *, width: int, longest: int) -> bytes | None:
    """Return a page as PNG, as wide as told and no side longer than the longest; None when there is no such page."""
    from io import BytesIO

    import pypdfium2
    import pypdfium2.raw as pdfium

    document = pypdfium2.PdfDocument(data)
    if not 1 <= page <= len(document):
        return None
    if document.get_formtype() != pdfium.FORMTYPE_NONE:
        document.init_forms()  # what is filled in is drawn
    shown = document[page - 1]
    sides = shown.get_size()
    scale = min((width - 0.5) / max(1.0, sides[0]), (longest - 0.5) / max(1.0, *sides))  # it is rounded up
    picture = BytesIO()
    shown.render(scale=scale).to_pil().save(picture, "PNG", compress_level=3)
    return picture.getvalue()


def main() -> None:
    path, page, digest, width, longest, memory = sys.argv[1:]
    output = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever pdfium prints is no part of the picture
    die_with_parent()
    limit_memory(int(memory))
    try:
        data = Path(path).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            sys.exit(CHANGED)
        picture = draw(data, int(page), width=int(width), longest=int(longest))
    except OSError:
        sys.exit(GONE)
    except MemoryError:
        sys.exit(NO_ROOM)
    if picture is None:
        sys.exit(NO_PAGE)
    with open(output, "wb") as stream:  # noqa: PTH123 (a descriptor)
        stream.write(picture)


if __name__ == "__main__":
    main()
