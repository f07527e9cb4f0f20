"""Define where on a scanned page a piece of text stands. Without numpy, for the workers that read files."""

from typing import NamedTuple


class TextBox(NamedTuple):
    """A piece of text that OCR read, and its place: from the upper left, as shares of the page's width and height."""

    start: int
    end: int
    """Offsets into the text of the document."""
    page: int
    """Number of the page, from 1."""
    left: float
    top: float
    right: float
    bottom: float
