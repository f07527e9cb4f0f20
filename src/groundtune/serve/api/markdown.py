"""Send words of documents to clients that show Markdown, so that these show them as they are and load nothing.

A sign that would load or run something becomes its character reference: `&#60;img` is shown as `<img`. What is data,
such as the quote of a citation, is sent as it is; so is everything to the pages of this server, which show text.
"""

import re
from dataclasses import replace

from groundtune.common.loading_signs import IMAGE, TAG, UNFINISHED
from groundtune.common.streamed_replacement import StreamedReplacement
from groundtune.types import Answer

_SIGNS = re.compile(f"{IMAGE}|{TAG}", re.IGNORECASE)
_UNFINISHED = re.compile(UNFINISHED, re.IGNORECASE)


def as_markdown(text: str) -> str:
    """Return a text as Markdown that shows it and loads nothing."""
    return _SIGNS.sub(_reference, text)


def answer_as_markdown(answer: Answer) -> Answer:
    """Return an answer with its text as Markdown."""
    return replace(answer, text=as_markdown(answer.text))


def markdown_pieces() -> StreamedReplacement:
    """Return what makes the same of a text that comes in pieces."""
    return StreamedReplacement(_SIGNS, _UNFINISHED, _reference)


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
