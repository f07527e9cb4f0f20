"""Find the file of the project that a document was read from, and say whether it still is as it was indexed.

Items of other sources are not looked for: only their source knows where they are. Reads no document.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundtune.common.files import digest_file
from groundtune.ingest.scan import current_signature
from groundtune.ingest.source_items import is_item
from groundtune.types import Document, FileRow

State = Literal["same", "changed", "gone", "elsewhere"]
SENTENCES: dict[State, str] = {
    "changed": "the file has changed since it was indexed; groundtune ingest reads it again",
    "gone": "the file is gone since it was indexed; groundtune ingest removes it",
    "elsewhere": "its source keeps it outside the project folder",
}
"""What is said of a file that cannot be shown as it was indexed."""


@dataclass(frozen=True, slots=True)
class Original:
    """The file behind a row of the ledger."""

    path: Path
    state: State


def original_of(row: FileRow, root: Path) -> Original:
    """Return the file of a row and its state. root: the folder of the project.

    A file whose size, times and inode are as they were is taken for the same; else its bytes decide.
    """
    path = root / os.fsdecode(row.source.removeprefix("./"))
    if is_item(row):
        return Original(path, "elsewhere")
    signature = current_signature(path)
    if not signature:
        return Original(path, "gone")
    if row.signature and row.signature.partition(" ")[0] == signature:
        return Original(path, "same")
    try:
        same = row.digest is not None and digest_file(path) == row.digest
    except OSError:
        return Original(path, "gone")
    return Original(path, "same" if same else "changed")


def has_page_images(document: Document) -> bool:
    """Whether the pages of a document can be drawn: it is a PDF."""
    return bool(document.pages) and document.source.lower().endswith(".pdf")
