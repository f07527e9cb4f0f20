"""Find the file that a document was read from, and say whether it still is as it was indexed.

It looks for files of the project and of folders elsewhere; of other items only their source knows where they are. Reads
no document.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundtune.common.files import digest_file
from groundtune.ingest.scan import current_signature
from groundtune.ingest.source_items import digest_of_file_item, is_item
from groundtune.types import Document, FileRow

State = Literal["same", "changed", "gone", "elsewhere"]
SENTENCES: dict[State, str] = {
    "changed": "the file has changed since it was indexed; groundtune ingest reads it again",
    "gone": "the file is gone since it was indexed; groundtune ingest removes it",
    "elsewhere": "its source alone knows where it is",
}
"""What is said of a file that cannot be shown as it was indexed."""


@dataclass(frozen=True, slots=True)
class Original:
    """The file behind a row of the ledger."""

    path: Path
    state: State
    digest: str | None = None
    """SHA-256 of its bytes, where it is as it was indexed."""


def original_of(row: FileRow, root: Path, folders: Mapping[str, Path]) -> Original:
    """Return the file of a row and its state. root: the project's folder. folders: those of its sources, by name.

    A file of the project whose size, times and inode are as they were is taken for the same; else the bytes decide.
    """
    path, item = root / os.fsdecode(row.source.removeprefix("./")), is_item(row)
    if item:
        name, _, rest = row.source.partition(":")
        if name not in folders:
            return Original(path, "elsewhere")
        path = folders[name] / rest.replace("%23", "#")
    signature = current_signature(path)
    if not signature:
        return Original(path, "gone")
    if not item and row.signature and row.signature.partition(" ")[0] == signature:
        return Original(path, "same", row.digest)
    try:
        digest = digest_file(path)
    except OSError:
        return Original(path, "gone")
    recorded = digest_of_file_item(f"{digest}{_loader(row)}") if item else digest
    return Original(path, "same", digest) if recorded == row.digest else Original(path, "changed")


def _loader(row: FileRow) -> str:
    """Return the version of the loader that read an item; its signature holds that of its file, and a digest."""
    inner = json.loads(row.signature or "")[2]
    return str(inner).partition(" ")[2].rpartition(" ")[0]


def has_page_images(document: Document) -> bool:
    """Whether the pages of a document can be drawn: it is a PDF."""
    return bool(document.pages) and document.source.lower().endswith(".pdf")
