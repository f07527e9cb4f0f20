"""Find files that no question finds and that no other document names."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from groundtune.corpus.files import CorpusFile, plain

LEAST_QUESTIONS = 20
"""Questions below which it says nothing that none of them finds a file."""


@dataclass(frozen=True, slots=True)
class UnusedFile:
    """A file that no question finds."""

    source: str
    named: bool
    """Whether another document names it."""


def unused_files(corpus: Sequence[CorpusFile], found: Collection[str], questions: int) -> list[UnusedFile] | None:
    """Return the files, those that nothing names first; None if there are too few questions to tell.

    found: files among the first passages for any question, or in the evidence of one.
    """
    if questions < LEAST_QUESTIONS:
        return None
    unused = [file for file in corpus if file.source not in found]
    texts = {file.source: f" {plain(file.text)} " for file in corpus} if unused else {}
    result = [UnusedFile(file.source, _is_named(file, texts)) for file in unused]
    return sorted(result, key=lambda file: (file.named, file.source))


def _is_named(file: CorpusFile, texts: dict[str, str]) -> bool:
    names = [f" {name} " for name in file.names]
    return any(name in text for source, text in texts.items() if source != file.source for name in names)
