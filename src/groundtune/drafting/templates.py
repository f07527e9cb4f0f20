"""Draft questions without a language model: templates of `languages/data/questions.toml` over facts of the documents.

The weaker form: a question repeats the words of its document, so retrieval finds it more easily than what people ask.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from fractions import Fraction

from groundtune.drafting.corpus import DraftedCorpus, file_of
from groundtune.drafting.draft import Draft, Kind, Quote
from groundtune.drafting.facts import Fact
from groundtune.drafting.sampling import in_turn
from groundtune.languages.quantities import quantities
from groundtune.languages.question_words import question_words
from groundtune.languages.text import content_words
from groundtune.languages.tokens import fold
from groundtune.types import Message, Passage

FIGURE_WORDS = 3
"""Words of a cell that is a figure with its unit."""
NEXT_FILES = 5
"""Files that are looked through for a name to ask about in vain."""

FindRelated = Callable[[str], Awaitable[Sequence[Passage]]]
"""Returns passages about a text, best first."""


class TemplateDrafts:
    """Drafts of each kind, in the order of the sample. A template needs no writing, and knows nothing to ask back."""

    def __init__(self, corpus: DraftedCorpus, related: FindRelated) -> None:
        self._corpus = corpus
        self._related = related

    async def write(self, _kind: Kind, draft: Draft) -> Draft:
        """Return the draft, which is complete."""
        return draft

    async def doubt(self, _draft: Draft) -> None:
        """Return None: templates have nobody to ask."""

    async def materials(self, kind: Kind) -> AsyncIterator[Draft]:
        """Yield the drafts of a kind until the documents hold no more."""
        if kind == "two-documents":
            async for draft in self._two_documents():
                yield draft
            return
        makers: dict[Kind, Callable[[], Iterator[Draft]]] = {
            "fact": self._facts,
            "table-cell": self._cells,
            "comparison": self._comparisons,
            "follow-up": self._follow_ups,
            "unanswerable": self._unanswerable,
        }
        for draft in makers[kind]():
            yield draft

    def _facts(self) -> Iterator[Draft]:
        for fact in self._of_files("fact", self._corpus.statements):
            yield _single("fact", fact)

    def _cells(self) -> Iterator[Draft]:
        for fact in self._of_files("table-cell", self._corpus.cells):
            yield _single("table-cell", fact)

    def _comparisons(self) -> Iterator[Draft]:
        for fact in self._of_files("comparison", self._corpus.cells):
            own = _figure(fact)
            for other in self._beside(fact) if own else ():
                figure = _figure(other)
                if other.column == fact.column and figure and own and figure[1] == own[1] and figure[0] != own[0]:
                    yield _comparison(fact, other, fact if own[0] > figure[0] else other)
                    break

    def _follow_ups(self) -> Iterator[Draft]:
        for fact in self._of_files("follow-up", lambda file: _mixed(self._corpus, file)):
            for other in self._beside(fact):
                if draft := _follow_up(fact, other):
                    yield draft
                    break

    def _unanswerable(self) -> Iterator[Draft]:
        files = self._corpus.files("unanswerable")
        place = {file: at for at, file in enumerate(files)}
        for fact in self._of_files("unanswerable", lambda file: _mixed(self._corpus, file)):
            at = place[file_of(fact.passage)]
            others = [files[(at + step) % len(files)] for step in range(1, min(NEXT_FILES + 1, len(files)))]
            for other in in_turn(others, lambda file: _mixed(self._corpus, file)[:2]):
                if (draft := _crossed(fact, other)) and not self._corpus.holds_together(draft.apart):
                    yield draft
                    break

    async def _two_documents(self) -> AsyncIterator[Draft]:
        for fact in self._of_files("two-documents", lambda file: _mixed(self._corpus, file)):
            for other in await self._in_other_files(fact):
                if draft := _of_both(fact, other):
                    yield draft
                    break

    async def _in_other_files(self, fact: Fact) -> list[Fact]:
        """Return the facts of passages of other files that a search for the fact finds."""
        found = await self._related(f"{fact.column} {fact.name}")
        own = file_of(fact.passage)
        current = set(self._corpus.files("two-documents"))
        others = {passage.id: file_of(passage) for passage in found if file_of(passage) in current - {own}}
        return [
            other
            for file in dict.fromkeys(others.values())
            for other in _mixed(self._corpus, file)
            if other.passage.id in others and other.language == fact.language
        ]

    def _beside(self, fact: Fact) -> list[Fact]:
        """Return the other facts of the same form in the same file, those of the same section first."""
        facts = self._corpus.cells if fact.form == "cell" else self._corpus.statements
        others = [other for other in facts(file_of(fact.passage)) if other is not fact and other.form == fact.form]
        return sorted(others, key=lambda other: other.passage.heading != fact.passage.heading)

    def _of_files(self, purpose: str, facts_of: Callable[[str], Sequence[Fact]]) -> Iterator[Fact]:
        """Yield the facts in languages that have templates, those of all files in turn."""
        for fact in in_turn(self._corpus.files(purpose), facts_of):
            if fact.language in question_words():
                yield fact


def _mixed(corpus: DraftedCorpus, file: str) -> list[Fact]:
    """Return the facts of a file that have a name which a question about another can take over."""
    named = [fact for fact in corpus.statements(file) if fact.form != "definition"]
    cells = corpus.cells(file)
    return (
        [fact for pair in zip(named, cells, strict=False) for fact in pair] + named[len(cells) :] + cells[len(named) :]
    )


def _ask(template: str, language: str, **names: str) -> str:
    return question_words()[language].templates[template].format(**names)


def _question(fact: Fact) -> str:
    if fact.form == "cell":
        return _ask("cell", fact.language, column=fact.column, row=fact.name, within=fact.within)
    if fact.form == "definition":
        definitions = question_words()[fact.language].definitions
        return definitions[fact.column].format(subject=fact.name, within=fact.within)
    return _ask(fact.form, fact.language, heading=fact.name, within=fact.within)


def _single(kind: Kind, fact: Fact) -> Draft:
    return Draft(kind, _question(fact), (fact.answer,), (fact.quote,), (fact.passage,), claims=(fact.claim,))


def _comparison(fact: Fact, other: Fact, higher: Fact) -> Draft:
    start = higher.quote.start + higher.quote.text.index(higher.name)
    answer = Quote(higher.passage, start, start + len(higher.name))
    names = {"column": fact.column, "row": fact.name, "other": other.name, "within": fact.within}
    question = _ask("higher", fact.language, **names)
    about = (fact.passage, other.passage)
    quotes, claims = (fact.quote, other.quote), (fact.claim, other.claim)
    return Draft("comparison", question, (answer,), quotes, about, claims=claims, names_answer=True)


def _follow_up(fact: Fact, other: Fact) -> Draft | None:
    """Return a question that is understood only after one about the first fact."""
    if fact.form == "cell" and fact.column == other.column:
        question = _ask("and_row", fact.language, row=other.name)
    elif fact.form == "cell" and fact.name == other.name:
        question = _ask("and_column", fact.language, column=other.column)
    elif fact.form != "cell" and other.form == fact.form:
        question = _ask("and_section", fact.language, heading=other.name)
    else:
        return None
    history = Message("user", _question(fact)), Message("assistant", fact.answer.text)
    about = (fact.passage, other.passage)
    return Draft("follow-up", question, (other.answer,), (other.quote,), about, history, claims=(other.claim,))


def _of_both(fact: Fact, other: Fact) -> Draft | None:
    """Return a question that needs a fact of each of two documents."""
    same_column, same_row = (fold(a) == fold(b) for a, b in ((fact.column, other.column), (fact.name, other.name)))
    language = fact.language
    if fact.form == other.form == "cell" and same_row and not same_column:
        question = _ask("two_columns", language, column=fact.column, other=other.column, row=fact.name)
    elif fact.form == other.form == "cell" and same_column and not same_row:
        question = _ask("two_rows", language, column=fact.column, row=fact.name, other=other.name)
    elif "cell" not in (fact.form, other.form) and not same_row and _share_a_word(fact, other):
        names = {"heading": fact.name, "other": other.name, "within": fact.within, "other_within": other.within}
        question = _ask("two_sections", language, **names)
    else:
        return None
    answers, quotes = (fact.answer, other.answer), (fact.quote, other.quote)
    about, claims = (fact.passage, other.passage), (fact.claim, other.claim)
    return Draft("two-documents", question, answers, quotes, about, claims=claims)


def _share_a_word(fact: Fact, other: Fact) -> bool:
    first, second = (set(content_words(each.name, language=each.language)) for each in (fact, other))
    return bool(first & second)


def _crossed(fact: Fact, other: Fact) -> Draft | None:
    """Return a question about a row and the column of another table, or a document and the heading of another."""
    if fact.language != other.language or (fact.form == "cell") != (other.form == "cell"):
        return None
    language, about = fact.language, (fact.passage, other.passage)
    title = fact.passage.heading.partition(" > ")[0]
    if fact.form == "cell":
        question = _ask("cell", language, column=other.column, row=fact.name, within=fact.within)
        apart = (other.column, fact.name)
    elif title:
        question, apart = _ask("section_for", language, heading=other.name, subject=title), (other.name, title)
    else:
        return None
    return Draft("unanswerable", question, (), (), about, apart=apart)


def _figure(fact: Fact) -> tuple[Fraction, str | None] | None:
    """Return the figure of a cell and its unit, if it holds exactly one that can be read in one way."""
    found = quantities(fact.answer.text, fact.language)
    if len(fact.answer.text.split()) > FIGURE_WORDS or len(found) != 1 or len(found[0].readings) != 1:
        return None
    (reading,) = found[0].readings
    return (reading, found[0].unit) if isinstance(reading, Fraction) else None
