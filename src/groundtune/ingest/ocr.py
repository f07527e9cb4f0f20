"""Read the lines of a picture of a page with RapidOCR, whose package carries its models. Never downloads anything.

The models (PP-OCRv6) read languages in Latin letters, Chinese and Japanese. What is written in other letters is seen
but not read: such lines are counted as unread.
"""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from groundtune.errors import need
from groundtune.ingest.busy import after_page

if TYPE_CHECKING:
    from PIL.Image import Image

SURE = 0.6
"""Confidence of the model below which a line is not taken for text."""
SIDE = 1440
"""Pixels of the longer side at which text is looked for; it is then read at full resolution."""
_FEWEST_CHARACTERS = 0.35
"""Characters that a line has at least for each time that it is wider than high; fewer: its letters were not read."""
_LARGE = 1.35
"""A line this many times as high as the usual one is in larger type, such as a heading."""


@dataclass(frozen=True, slots=True)
class RecognizedText:
    """A piece of text in a picture; coordinates in pixels from the upper left."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class RecognizedPage:
    """What was read in a picture."""

    texts: tuple[RecognizedText, ...]
    unread: int
    """Lines that are there but could not be read."""


def recognize(image: "Image") -> RecognizedPage:
    """Return the text of a picture, in no particular order. Raises MissingError without the extra."""
    import numpy

    engine = _engine()
    after_page.get()()  # loading the models takes seconds
    result = engine(numpy.asarray(image.convert("RGB"))[:, :, ::-1])
    after_page.get()()
    if result.boxes is None:
        return RecognizedPage((), 0)
    texts, unread = [], 0
    for box, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
        (left, top), (right, bottom) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
        if score < SURE or not _is_plausible(text, right - left, bottom - top):
            unread += 1
        else:
            texts.append(RecognizedText(text, left, top, right, bottom))
    return RecognizedPage(tuple(texts), unread)


def type_size(text: RecognizedText, page: Sequence[RecognizedText]) -> float:
    """Return the height of the type of a text in pixels: that of the page, or one of a few larger ones."""
    usual = statistics.median(other.bottom - other.top for other in page)
    times = (text.bottom - text.top) / usual
    return usual * (round(2 * times) / 2 if times > _LARGE else 1)


def _is_plausible(text: str, width: float, height: float) -> bool:
    characters = sum(not character.isspace() for character in text)
    return characters >= max(1.0, _FEWEST_CHARACTERS * width / max(height, 1.0))


@cache
def _engine() -> Any:
    rapidocr = need("rapidocr", extra="ocr")
    threads = max(1, (os.cpu_count() or 1) // 2)
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": 0.0,
            "Det.limit_type": "max",
            "Det.limit_side_len": SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
