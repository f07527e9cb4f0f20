"""Writers of documents, one module per format: `write(document, path)` returns what it wrote of the document."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from benchmarks.oracles.structures import Document

FORMATS: dict[str, str] = {
    ".docx": "docx",
    ".pptx": "pptx",
    ".xlsx": "xlsx",
    ".html": "html",
    ".md": "markdown",
    ".pdf": "pdf",
    ".epub": "epub",
    ".eml": "eml",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "text",
}
"""Suffix and module."""

CONVERTED: dict[str, str] = {
    ".odt": ".docx",
    ".rtf": ".docx",
    ".doc": ".docx",
    ".odp": ".pptx",
    ".ppt": ".pptx",
    ".ods": ".xlsx",
    ".xls": ".xlsx",
}
"""Suffix of what LibreOffice makes of a file with another suffix."""

PRINTED: dict[str, str] = {".chromium.pdf": ".html", ".writer.pdf": ".docx"}
"""Suffix of what Chromium and LibreOffice Writer print of a file with another suffix."""


def write(document: Document, path: Path) -> Document | None:
    """Write a document in the format of the suffix; return what was written of it; None if nothing was."""
    module = import_module(f"{__name__}.{FORMATS[path.suffix]}")
    writer: Callable[[Document, Path], Document | None] = module.write
    written = writer(document, path)
    return written if written is not None and written.blocks else None
