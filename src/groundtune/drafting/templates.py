"""Draft questions without a language model: templates of `languages/data/questions.toml` over facts of the documents.

The weaker form: a question repeats the words of its document, so retrieval finds it more easily than what people ask.
"""

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property

from groundtune.drafting.corpus import DraftedCorpus, file_of
from groundtune.drafting.draft import Draft, Kind, Quote
from groundtune.drafting.facts import Fact, is_full_name
from groundtune.drafting.sampling import in_turn
from groundtune.languages.quantities import quantities
from groundtune.languages.question_words import question_words
from groundtune.languages.text import content_words
from groundtune.languages.tokens import fold
from groundtune.types import Message

FIGURE_WORDS = 3
"""Words of a cell that is a figure with its unit."""
FIGURES = 3
"""Figures of one unit in a column from which its cells are compared."""
COMMON_WORDS = 2
"""Words that two sections on one subject have in common, besides those of their headings."""
SHARED_ROWS = 2
"""Rows that two tables have in common from which a row is the same thing in both."""
ALIKE = 0.33
"""Share of the rows of each that two tables about the same kind of thing have in common."""
GIVEN = 2
"""Rows of which a table gives a column, so that somebody may expect it of another row."""
SAME_THING = 3
"""Questions about two documents that begin with the same row or heading."""
SAME_COLUMN = 3
"""Rows that are asked about in vain by the same column."""
_SPOKEN = re.compile(r"[^\W\d_]{3}")
_MARK = re.compile(r"\s*[?？؟]$")

_Table = tuple[str, str, str]
"""File, heading and the column that names the rows."""


class TemplateDrafts:
    """Drafts of each kind, in the order of the sample. A template needs no writing, and knows nothing to ask back."""

    def __init__(self, corpus: DraftedCorpus) -> None:
        self._corpus = corpus

    async def write(self, _kind: Kind, draft: Draft) -> Draft:
        """Return the draft, which is complete."""
        return draft

    async def doubt(self, _draft: Draft) -> None:
        """Return None: templates have nobody to ask."""

    async def materials(self, kind: Kind) -> AsyncIterator[Draft]:
        """Yield the drafts of a kind until the documents hold no more."""
        makers: dict[Kind, Callable[[], Iterator[Draft]]] = {
            "fact": self._facts,
            "table-cell": self._cells,
            "comparison": self._comparisons,
            "two-documents": self._two_documents,
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
            figures = [(other, _figure(other)) for other in self._beside(fact) if own and other.column == fact.column]
            alike = [(other, figure) for other, figure in figures if figure and own and figure[1] == own[1]]
            for other, figure in alike if len(alike) + 1 >= FIGURES else ():
                if own and figure and figure[0] != own[0]:
                    yield _comparison(fact, other, fact if own[0] > figure[0] else other)
                    break

    def _follow_ups(self) -> Iterator[Draft]:
        for fact in self._of_files("follow-up", lambda file: _mixed(self._corpus, file)):
            for other in self._beside(fact):
                if draft := _follow_up(fact, other):
                    yield draft
                    break

    def _two_documents(self) -> Iterator[Draft]:
        """Yield questions about one thing in two documents: a row, a column of like rows, or a heading."""
        times: Counter[str] = Counter()
        for fact in self._of_files("two-documents", lambda file: _mixed(self._corpus, file)):
            if fact.form == "term" or times[_thing(fact)] >= SAME_THING:
                continue
            for other in self._like(fact):
                if file_of(other.passage) != file_of(fact.passage) and (draft := self._of_both(fact, other)):
                    times[_thing(fact)] += 1
                    yield draft
                    break

    def _of_both(self, fact: Fact, other: Fact) -> Draft | None:
        same_column, same_row = fold(fact.column) == fold(other.column), _thing(fact) == _thing(other)
        names = {"within": fact.within, "other_within": other.within}
        language, (row, other_row) = fact.language, _rows(fact, other)
        if fact.form != "cell":
            question = _ask("two_sections", language, heading=fact.name, other=other.name, **names)
        elif same_row and not same_column:
            question = _ask("two_columns", language, column=fact.column, other=other.column, row=row, **names)
        elif same_column and not same_row and self._are_apart(fact, other) and _share_a_word(fact, other):
            question = _ask("two_rows", language, column=fact.column, row=row, other=other_row, **names)
        else:
            return None
        answers, quotes = (fact.answer, other.answer), (fact.quote, other.quote)
        about, claims = (fact.passage, other.passage), (fact.claim, other.claim)
        return Draft("two-documents", question, answers, quotes, about, claims=claims)

    def _unanswerable(self) -> Iterator[Draft]:
        """Yield a question about each row, by a column that tables give of other rows of its kind but not of it."""
        asked: set[tuple[_Table, str]] = set()
        columns: Counter[str] = Counter()
        for fact in self._of_files("unanswerable", self._corpus.cells):
            row = _table(fact), fold(fact.name)
            worn = {column for column, times in columns.items() if times >= SAME_COLUMN}
            if row not in asked and (draft := self._asked_in_vain(fact, worn)):
                columns[fold(draft.apart[0])] += 1
                yield draft
            asked.add(row)

    def _asked_in_vain(self, fact: Fact, worn: Collection[str]) -> Draft | None:
        cells = [cell for table in self._related_tables(fact, share=ALIKE) for cell in table]
        known = {fold(cell.column) for cell in cells if _speak_of_one(fact.name, cell.name, fact.language)}
        given = Counter(fold(cell.column) for cell in cells)
        for other in cells:
            column = fold(other.column)
            if column in worn or column in known or given[column] < GIVEN or other.language != fact.language:
                continue
            known.add(column)
            apart = (other.column, fact.name)
            if not self._corpus.holds_together(apart):
                names = {"column": other.column, "row": _rows(fact)[0], "within": other.within}
                question = _ask("cell", fact.language, **names)
                return Draft("unanswerable", question, (), (), (fact.passage, other.passage), apart=apart)
        return None

    @cached_property
    def _tables(self) -> Mapping[_Table, list[Fact]]:
        """The cells of each table."""
        tables: defaultdict[_Table, list[Fact]] = defaultdict(list)
        for file in self._corpus.files("tables"):
            for fact in self._corpus.cells(file):
                tables[_table(fact)].append(fact)
        return tables

    @cached_property
    def _things(self) -> Mapping[_Table, frozenset[str]]:
        return {table: frozenset(map(_thing, cells)) for table, cells in self._tables.items()}

    @cached_property
    def _sections(self) -> Sequence[Fact]:
        return [
            fact
            for file in self._corpus.files("sections")
            for fact in self._corpus.statements(file)
            if fact.form in ("section", "list")
        ]

    def _like(self, fact: Fact) -> list[Fact]:
        """Return the facts about the same kind of thing: cells of related tables, or sections on one subject."""
        if fact.form == "cell":
            return [other for table in self._related_tables(fact) for other in table]
        return [other for other in self._sections if other.language == fact.language and _on_one_subject(fact, other)]

    def _related_tables(self, fact: Fact, *, share: float = 0.0) -> list[list[Fact]]:
        """Return the table of a cell, and those that have several of its rows, and this share of the rows of each."""
        own = self._things[_table(fact)]
        others = (
            table
            for table, things in self._things.items()
            if len(things & own) >= max(SHARED_ROWS, share * max(len(things), len(own)))
        )
        return [self._tables[table] for table in dict.fromkeys([_table(fact), *others])]

    def _are_apart(self, fact: Fact, other: Fact) -> bool:
        """Whether neither table has the row of the other with the same column."""

        def has(table: _Table, row: str) -> bool:
            return any(_thing(e) == row and fold(e.column) == fold(fact.column) for e in self._tables[table])

        return not has(_table(fact), _thing(other)) and not has(_table(other), _thing(fact))

    def _beside(self, fact: Fact) -> list[Fact]:
        """Return the other cells of a table, or the other facts of the same form in a file, first those of its part."""
        if fact.form == "cell":
            cells = self._corpus.cells(file_of(fact.passage))
            return [other for other in cells if other is not fact and _table(other) == _table(fact)]
        statements = self._corpus.statements(file_of(fact.passage))
        others = [other for other in statements if other is not fact and other.form == fact.form]
        return sorted(others, key=lambda other: other.passage.heading != fact.passage.heading)

    def _of_files(self, purpose: str, facts_of: Callable[[str], Sequence[Fact]]) -> Iterator[Fact]:
        """Yield the facts in languages that have templates, those of all files in turn."""
        for fact in in_turn(self._corpus.files(purpose), facts_of):
            if fact.language in question_words():
                yield fact


def _table(fact: Fact) -> _Table:
    heading = fact.passage.heading if "#" not in fact.passage.source else ""
    return file_of(fact.passage), heading, fold(fact.key)


def _share_a_word(fact: Fact, other: Fact) -> bool:
    first, second = (frozenset(content_words(each.name, language=each.language)) for each in (fact, other))
    return bool(first & second)


def _speak_of_one(name: str, other: str, language: str) -> bool:
    """Whether one name has all words of the other, so that what is said of one may answer for the other."""
    first, second = (frozenset(content_words(each, language=language)) for each in (name, other))
    return first <= second or second <= first


def _on_one_subject(fact: Fact, other: Fact) -> bool:
    """Whether one heading has all words of the other, and the texts below have more words in common than these."""
    first, second = (frozenset(content_words(each.name, language=each.language)) for each in (fact, other))
    if not (first and second and (first <= second or second <= first)):
        return False
    said = (frozenset(content_words(each.answer.text, language=each.language)) for each in (fact, other))
    common = frozenset.intersection(*said) - first - second
    return sum(not any(map(str.isdigit, word)) for word in common) >= COMMON_WORDS


def _mixed(corpus: DraftedCorpus, file: str) -> list[Fact]:
    """Return the facts of a file that have a name which a question about another can take over."""
    named = [fact for fact in corpus.statements(file) if fact.form in ("section", "list", "term")]
    cells = corpus.cells(file)
    return (
        [fact for pair in zip(named, cells, strict=False) for fact in pair] + named[len(cells) :] + cells[len(named) :]
    )


def _ask(template: str, language: str, **names: str) -> str:
    return question_words()[language].templates[template].format(**names)


def _question(fact: Fact) -> str:
    if fact.form == "question":
        return _MARK.sub(lambda mark: f"{fact.within}{mark[0]}", fact.name)
    if fact.form == "cell":
        return _ask("cell", fact.language, column=fact.column, row=_rows(fact)[0], within=fact.within)
    if fact.form == "event":
        words = question_words()[fact.language]
        return words.events[fact.key].format(subject=fact.name, done=fact.column, within=fact.within)
    if fact.form == "definition":
        words = question_words()[fact.language]
        template = words.names.get(fact.column) if is_full_name(fact.name) else None
        return (template or words.definitions[fact.column]).format(subject=fact.name, within=fact.within)
    return _ask("list" if fact.form == "list" else "section", fact.language, heading=fact.name, within=fact.within)


def _thing(fact: Fact) -> str:
    """Return what a row is about, folded: a code or an amount is another thing in another table."""
    amount = any(quantity.unit for quantity in quantities(fact.name, fact.language))
    return fold(fact.keyed if amount or not _SPOKEN.search(fact.name) else fact.name)


def _rows(*facts: Fact) -> list[str]:
    """Return the names of rows as a question says them: all with the name of their column if one needs it."""
    return [fact.keyed if any(each.is_code for each in facts) else fact.name for fact in facts]


def _single(kind: Kind, fact: Fact) -> Draft:
    return Draft(kind, _question(fact), (fact.answer,), (fact.quote,), (fact.passage,), claims=(fact.claim,))


def _comparison(fact: Fact, other: Fact, higher: Fact) -> Draft:
    start = higher.quote.start + higher.quote.text.index(higher.name)
    answer = Quote(higher.passage, start, start + len(higher.name))
    row, other_row = _rows(fact, other)
    names = {"column": fact.column, "row": row, "other": other_row, "within": fact.within}
    question = _ask("higher", fact.language, **names)
    about = (fact.passage, other.passage)
    quotes, claims = (fact.quote, other.quote), (fact.claim, other.claim)
    return Draft("comparison", question, (answer,), quotes, about, claims=claims, names_answer=True)


def _follow_up(fact: Fact, other: Fact) -> Draft | None:
    """Return a question that is understood only after one about the first fact."""
    if fact.form == "cell" and fact.column == other.column:
        question = _ask("and_row", fact.language, row=_rows(fact, other)[1])
    elif fact.form == "cell" and fact.name == other.name:
        question = _ask("and_column", fact.language, column=other.column)
    elif fact.form != "cell" and other.form == fact.form:
        question = _ask("and_section", fact.language, heading=other.name)
    else:
        return None
    history = Message("user", _question(fact)), Message("assistant", fact.answer.text)
    about = (fact.passage, other.passage)
    return Draft("follow-up", question, (other.answer,), (other.quote,), about, history, claims=(other.claim,))


def _figure(fact: Fact) -> tuple[Fraction, str] | None:
    """Return the figure of a cell and its unit, if it holds exactly one that can be read in one way.

    The unit may stand in the name of the column. A number without one may be a telephone number or a year.
    """
    found = quantities(fact.answer.text, fact.language)
    if len(fact.answer.text.split()) > FIGURE_WORDS or len(found) != 1 or len(found[0].readings) != 1:
        return None
    (reading,) = found[0].readings
    measures = (fact.column.partition("(")[2].rstrip(")"), fact.column)
    counted = (quantities(f"2 {measure}", fact.language) for measure in measures if measure)
    unit = found[0].unit or next((each[0].unit for each in counted if each and each[0].unit), None)
    return (reading, unit) if unit and isinstance(reading, Fraction) else None
