"""The passages of an index by file, with what templates can ask about, read on first use. Searches nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from groundtune.drafting.draft import Quote
from groundtune.drafting.facts import Fact, cells, spoken_of_together, statements
from groundtune.drafting.sampling import shuffled, spread
from groundtune.languages.detection import detect
from groundtune.languages.text import content_words
from groundtune.types import Passage


class DraftedCorpus:
    """What is drafted from. The order of files, and of what each holds, depends on the seed alone."""

    def __init__(
        self,
        passages: Iterable[Passage],
        *,
        language: str,
        seed: str,
        outdated: Collection[str] = (),
        disputed: Collection[tuple[str, str]] = (),
    ) -> None:
        """outdated: files that newer ones replace; nothing is drafted from them. disputed: sources with statements that
        another document contradicts, in one line.
        """
        self.language = language
        self._seed = seed
        self._passages: defaultdict[str, list[Passage]] = defaultdict(list)
        for passage in passages:
            self._passages[file_of(passage)].append(passage)
        self._outdated = frozenset(outdated)
        self._disputed: defaultdict[str, set[str]] = defaultdict(set)
        for source, statement in disputed:
            self._disputed[source].add(statement)
        self._cells: dict[str, list[Fact]] = {}
        self._statements: dict[str, list[Fact]] = {}
        self._claims: dict[str, dict[tuple[str, str], set[str]]] = {}
        self._words: list[frozenset[str]] = []

    def files(self, purpose: str) -> list[str]:
        """Return the files to draft from, in another order for each purpose."""
        return shuffled(filter(self.is_current, self._passages), f"{self._seed} {purpose}", str)

    def is_current(self, file: str) -> bool:
        """Whether no newer file replaces it."""
        return file not in self._outdated

    def passages(self, file: str) -> list[Passage]:
        """Return the passages of a file, those of its headings in turn."""
        return spread(self._passages[file], self._seed, stratum=lambda p: p.heading, key=lambda p: p.id)

    def cells(self, file: str) -> list[Fact]:
        """Return the cells of the tables of a file, those of its headings in turn."""
        if file not in self._cells:
            self._cells[file] = self._spread(cells(self._passages[file], self.language))
        return self._cells[file]

    def statements(self, file: str) -> list[Fact]:
        """Return the definitions, sections and lists of a file, those of its headings in turn."""
        if file not in self._statements:
            self._statements[file] = self._spread(statements(self._passages[file], self.language))
        return self._statements[file]

    def answers(self, file: str, name: str, column: str) -> set[str]:
        """Return what the facts of a file with this name and column say; all folded."""
        if file not in self._claims:
            claims: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
            for fact in (*self.cells(file), *self.statements(file)):
                named, under, answer = fact.claim
                claims[named, under].add(answer)
            self._claims[file] = claims
        return self._claims[file].get((name, column), set())

    def is_disputed(self, quote: Quote) -> bool:
        """Whether another document contradicts what a quote says."""
        file = file_of(quote.passage)
        return file in self._disputed and any(said in " ".join(quote.text.split()) for said in self._disputed[file])

    def holds_together(self, names: Sequence[str]) -> bool:
        """Whether a row of a table or another passage holds all content words of all names.

        Its headings and the name of its file count.
        """
        if not self._words:
            passages = (passage for of_file in self._passages.values() for passage in of_file)
            self._words = [self._content(text) for text in spoken_of_together(passages)]
        words = frozenset().union(*map(self._content, names))
        return any(words <= said for said in self._words)

    def _content(self, text: str) -> frozenset[str]:
        return frozenset(content_words(text, language=detect(text, self.language)))

    def _spread(self, facts: Iterable[Fact]) -> list[Fact]:
        return spread(
            facts, self._seed, stratum=lambda f: f.passage.heading, key=lambda f: f"{f.passage.id} {f.answer.start}"
        )


def file_of(passage: Passage) -> str:
    """Return the file of a passage; rows of a table file belong to it."""
    return passage.source.partition("#")[0]
