"""Read files as `groundtune ingest` does, and hold what was read against what programs show of them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.oracles.exceptions import NO_EXCEPTIONS, Exceptions
from benchmarks.oracles.tokens import Comparison, compare, tokens
from benchmarks.oracles.visible import Seen

from groundtune.errors import ParseError
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.sandbox import Sandbox

Outcome = list[ParsedDocument] | ParseError


def read(paths: Sequence[Path]) -> dict[Path, Outcome]:
    """Read files in the sandbox."""

    async def load() -> list[Outcome]:
        async with Sandbox() as sandbox:
            return await sandbox.load_many(paths)

    return dict(zip(paths, asyncio.run(load()), strict=True))


def compare_file(documents: Sequence[ParsedDocument], seen: Seen, exceptions: Exceptions = NO_EXCEPTIONS) -> Comparison:
    """Compare the documents of one file with what programs show of it, after taking out the exceptions."""
    plain: list[str] = []
    rows: list[str] = []
    for document in documents:
        for kind, text in pieces(document):
            if exceptions.blocks and exceptions.blocks.fullmatch(text):
                continue
            plain.extend(found := tokens(text))
            if kind == "row":
                rows.extend(found)
    raised = ["^"] * plain.count("^")  # how raised text is written, in place of its height
    numbers = [each.row_id for each in documents if each.row_id and each.row_id.isdecimal()]  # that programs count
    views = seen.certain if seen.reduced is None or exceptions == NO_EXCEPTIONS else seen.reduced
    return compare(
        plain,
        [tokens(exceptions.of_program(text)) for text in views],
        perhaps=[[*tokens(text), *raised, *numbers] for text in (*seen.certain, *seen.perhaps)],
        repeatable=rows,
    )


def pieces(document: ParsedDocument) -> list[tuple[str, str]]:
    """Return kind and text of what stands in a document, in order: blocks, headings, and what a row says beside it."""
    found: list[tuple[str, str]] = []
    if document.row_id is not None:
        beside = [document.title or "", *document.metadata.values(), document.row_id]
        found += [("row", text) for text in (*document.metadata, *beside) if text]
    at = 0
    for block in document.blocks:
        if between := document.text[at : block.start].strip():
            found.append(("heading", between))
        found.append((block.kind, document.text[block.start : block.end]))
        at = block.end
    if rest := document.text[at:].strip():
        found.append(("heading", rest))
    return found
