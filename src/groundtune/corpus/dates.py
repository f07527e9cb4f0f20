"""Find documents whose own dates have passed: valid until, expires, next review."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from groundtune.corpus.files import CorpusFile
from groundtune.corpus.phrases import phrases
from groundtune.languages.detection import detect
from groundtune.languages.quantities import quantities
from groundtune.languages.text import sentences

UNTIL = frozenset(
    {"valid_until", "valid_to", "expires", "expiry", "expiry_date", "review_by", "next_review", "end_date"}
)
BEHIND = 60
"""Characters between the phrase and its date at most."""


@dataclass(frozen=True, slots=True)
class StaleDate:
    """A date that has passed, by which the document says that it ends or is to be reviewed."""

    source: str
    date: str
    statement: str


def stale_dates(corpus: Sequence[CorpusFile], language: str, today: date) -> list[StaleDate]:
    """Return the first such date of each file, the longest past first."""
    found = [next(_stale(file, language, today), None) for file in corpus]
    return sorted(filter(None, found), key=lambda stale: stale.date)


def _stale(file: CorpusFile, language: str, today: date) -> Iterator[StaleDate]:
    for key, value in file.metadata.items():
        if re.sub(r"[\W_]+", "_", key.lower()) in UNTIL:
            for day in _days(value, language):
                if day < today:
                    yield StaleDate(file.source, day.isoformat(), f"{key}: {value}")
    for passage in file.passages:
        if not phrases("until").search(passage.text):
            continue
        detected = detect(passage.text, language)
        for start, end in sentences(passage.text, language=detected):
            sentence = passage.text[start:end]
            if said := phrases("until").search(sentence):
                for day in _days(sentence[said.end() : said.end() + BEHIND], detected):
                    if day < today:
                        yield StaleDate(file.source, day.isoformat(), " ".join(sentence.split()))


def _days(text: str, language: str) -> Iterator[date]:
    """Yield the dates of a text that name the whole day in one way only."""
    for quantity in quantities(text, language):
        (reading, *others) = quantity.readings
        if quantity.unit == "date" and not others and isinstance(reading, tuple) and None not in reading:
            try:
                yield date(*(int(part or 0) for part in reading))
            except ValueError:
                continue
