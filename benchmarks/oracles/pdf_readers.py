"""What poppler and PDFium show of a PDF, without page numbers and with what repeats on every page once."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pypdfium2

_EDGE = 3
"""Lines at the top and at the bottom of a page that may be page furniture."""
_PAGE_NUMBER = r"(?:\b(?:page|seite|p\.)\s*)?(?<![\d.,]){number}(?:\s*(?:of|von|/)\s*{count})?(?![\d.,]*\d)"


def missing_poppler() -> str | None:
    """Why pdftotext cannot be used; None if it can."""
    return None if shutil.which("pdftotext") else "pdftotext is not installed: apt-get install poppler-utils"


def poppler_pages(path: Path) -> list[str]:
    """Return the text of each page in poppler's reading order."""
    command = ["pdftotext", "-enc", "UTF-8", str(path), "-"]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    return done.stdout.decode("utf-8", "replace").split("\f")[:-1]


def pdfium_pages(path: Path) -> list[str]:
    """Return the text of each page in the order of PDFium."""
    document = pypdfium2.PdfDocument(path)
    try:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in document]
    finally:
        document.close()


def without_furniture(pages: Sequence[str]) -> list[str]:
    """Remove page numbers at the edge of a page, and lines there that an earlier page has in the same words."""
    seen: set[str] = set()
    kept = []
    for number, page in enumerate(pages, start=1):
        page_number = re.compile(_PAGE_NUMBER.format(number=number, count=len(pages)), re.IGNORECASE)
        lines = [line for line in page.split("\n") if line.strip()]
        edges = {*range(min(_EDGE, len(lines))), *range(max(0, len(lines) - _EDGE), len(lines))}
        left = []
        for at, line in enumerate(lines):
            text = " ".join(line.split())
            words = page_number.sub("", text).strip(" -–—|·")
            if at in edges and (len(pages) > 1 or not words):
                if not words or text in seen or words in seen:
                    continue
                seen.add(text)
                if words != text and _ends(text, page_number):
                    seen.add(words)
                    line = words
            left.append(line)
        kept.append("\n".join(left))
    return kept


def _ends(text: str, page_number: re.Pattern[str]) -> bool:
    """Whether the line begins or ends with the number of its page."""
    return any(match.start() == 0 or match.end() == len(text) for match in page_number.finditer(text))
