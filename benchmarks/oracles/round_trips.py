"""Search for texts that the generator planted, and check that they are found, cited, and placed where they stand."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pptx
from benchmarks.oracles.faults import Fault
from benchmarks.oracles.pdf_readers import pdfium_pages
from benchmarks.oracles.structures import Document, Piece, truth
from benchmarks.oracles.tokens import tokens

from groundtune.citations.checking import check_citations
from groundtune.project import Project

_PLANTED = re.compile(r"\b[A-Z]?[a-z]{7,8}\b")
_SYLLABLES = re.compile(r"(?:[bdfgklmnprstvz][aeiou]){4}n?")
_SHORTEST = 6
"""Tokens of a text that is searched for: fewer are in many passages."""
_CITABLE = re.compile(r"[A-Z][^.?!:]*[a-z]\.")
"""A sentence without inner full stops, which needs no splitting to be cited."""


def find_lost(project: Project, written: Mapping[Path, Document]) -> Iterator[Fault]:
    """Yield texts that a search for them does not bring up, and those with a wrong place or a failed citation.

    written: what was written into each ingested file.
    """
    pages = {path.name: _pages(path) for path in written}
    for path, document in written.items():
        for piece in truth(document).pieces:
            if len(tokens(piece.text)) < _SHORTEST:
                continue
            for word in _planted(piece.text)[:1]:
                yield from _find(project, path, piece, word, pages[path.name])
                yield from _cited_elsewhere(project, piece, pages)


def _planted(text: str) -> list[str]:
    return [word for word in _PLANTED.findall(text) if _SYLLABLES.fullmatch(word.lower())]


def _find(project: Project, path: Path, piece: Piece, word: str, pages: list[str]) -> Iterator[Fault]:
    hits = project.search(piece.text, k=10)
    hit = next(
        (
            each
            for each in hits
            if each.passage.source.partition("#")[0].endswith(path.name) and word in each.passage.text
        ),
        None,
    )
    if hit is None:
        above = any(word in each.passage.heading for each in hits)
        if not (piece.is_heading and above):
            yield Fault("missing", f"{path.name}: {word} of: {piece.text}", hits[0].passage.text if hits else None)
        return
    passage = hit.passage
    page = passage.page_at(passage.start + passage.text.index(word))
    if pages and (page is None or word not in pages[page - 1]):
        yield Fault("place", f"{path.name}: {word} is not on page {page}")
    if _CITABLE.fullmatch(piece.text):
        (citation, *_) = check_citations(f"{piece.text[:-1]} [1].", [hit])[1]
        if citation.support != "exact":
            yield Fault("citation", f"{path.name}: {piece.text}", f"{citation.support}: {passage.text}")


def _cited_elsewhere(project: Project, piece: Piece, pages: Mapping[str, list[str]]) -> Iterator[Fault]:
    """Yield the citations of an answer, whose passages may be joined ones, that name a page without their quote."""
    for citation in project.ask(piece.text).citations:
        if citation.source is None or not (texts := pages[Path(citation.source.partition("#")[0]).name]):
            continue
        words = _planted(citation.quote)[:1]
        if citation.page is None or any(word not in texts[citation.page - 1] for word in words):
            yield Fault("place", f"{citation.quote} is not on page {citation.page} of {citation.source}")


def _pages(path: Path) -> list[str]:
    """Return the text of each page or slide; empty for formats without."""
    if path.suffix == ".pdf":
        return pdfium_pages(path)
    if path.suffix == ".pptx":
        return ["\n".join(_shape_texts(slide)) for slide in pptx.Presentation(str(path)).slides]
    return []


def _shape_texts(slide: Any) -> Iterator[str]:
    for shape in slide.shapes:
        if shape.has_text_frame:
            yield shape.text_frame.text
        elif shape.has_table:
            yield from (cell.text for row in shape.table.rows for cell in row.cells)
