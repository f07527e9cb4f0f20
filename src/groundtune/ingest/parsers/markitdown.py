"""Read a file with MarkItDown, which turns it into Markdown. Never fetches anything, never asks a model.

Source: https://github.com/microsoft/markitdown
"""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from groundtune.errors import ParseError, need
from groundtune.ingest.loaders import markdown, read_bytes
from groundtune.ingest.loaders.file_formats import check_format
from groundtune.ingest.parsed import ParsedDocument, TextBuilder


class MarkItDownParser:
    """`Loader` that reads what MarkItDown makes of a file."""

    def __init__(self) -> None:
        need("markitdown", extra="markitdown")
        self.version = version("markitdown")

    @cached_property
    def _converter(self) -> Any:
        from markitdown import MarkItDown

        return MarkItDown(enable_plugins=False)

    def load(self, path: Path) -> ParsedDocument:
        from markitdown import MarkItDownException

        check_format(path.suffix.lower(), read_bytes(path))  # it reads a damaged file as if it were plain text
        try:
            result = self._converter.convert_local(path)
        except MarkItDownException as error:
            raise ParseError(f"MarkItDown cannot read it: {' '.join(str(error).split())[:200]}") from error
        builder = TextBuilder()
        title, metadata = markdown.add_blocks(builder, result.markdown)
        return builder.build(title=result.title or title, metadata=metadata)
