"""Split source code and configuration into blocks that keep their lines. Never runs or interprets anything."""

from collections.abc import Iterator
from pathlib import Path

from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_ENOUGH = 300
"""Characters after which a blank line ends a block, wherever it stands."""
_MOST = 700
"""Characters after which any line ends a block: little enough for a passage."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    for block in _blocks(decode(data).split("\n")):
        builder.code("\n".join(block))
    return [builder.build()]


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Yield functions, sections and the like: what blank lines set apart at the left margin; long ones in parts."""
    block: list[str] = []
    length = 0
    is_blank_before = False
    for line in lines:
        is_blank = not line.strip()
        begins = is_blank_before and not is_blank and (not line[0].isspace() or length > _ENOUGH)
        if block and (begins or length > _MOST):
            yield block
            block, length = [], 0
        block.append(line)
        length += len(line) + 1
        is_blank_before = is_blank
    yield block
