"""The indexed files as the findings read them: a file with all its passages. Rows of a table belong to their file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from groundtune.languages.tokens import fold
from groundtune.types import Document, Passage


@dataclass(frozen=True)
class CorpusFile:
    """One indexed file, or item of a source."""

    source: str
    title: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    passages: tuple[Passage, ...] = ()

    @cached_property
    def text(self) -> str:
        return "\n\n".join(passage.text for passage in self.passages)

    @property
    def stem(self) -> str:
        """The name without folder and suffix."""
        return PurePosixPath(self.source).stem

    @cached_property
    def names(self) -> frozenset[str]:
        """How other documents may name it: file name, name without suffix if it has several words, title."""
        stem = [self.stem] if re.search(r"[\W_\d]", self.stem) else []
        return frozenset(map(plain, filter(None, [PurePosixPath(self.source).name, *stem, self.title])))


def corpus_files(documents: Iterable[Document], passages: Iterable[Passage]) -> list[CorpusFile]:
    """Return the files by source. Of a table file, title and metadata are those of no single row."""
    by_file: dict[str, list[Passage]] = {}
    for passage in passages:
        by_file.setdefault(passage.source.partition("#")[0], []).append(passage)
    whole = {document.source: document for document in documents if "#" not in document.source}
    return [
        CorpusFile(
            source,
            whole[source].title if source in whole else None,
            whole[source].metadata if source in whole else {},
            tuple(of_file),
        )
        for source, of_file in sorted(by_file.items())
    ]


def plain(name: str) -> str:
    """Return a name for comparison: without case, accents and signs."""
    return " ".join(re.findall(r"\w+", fold(name)))
