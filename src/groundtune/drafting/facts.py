"""Find what templates can ask about: cells of tables, definitions, short sections and lists. Reads form, no meaning."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.drafting.draft import Quote
from groundtune.languages.detection import detect
from groundtune.languages.language import load
from groundtune.languages.question_words import QuestionWords, question_words
from groundtune.languages.text import sentences
from groundtune.languages.tokens import fold
from groundtune.types import Passage

LONGEST_VALUE = 120
"""Characters of a cell that is asked for."""
LONGEST_NAME = 60
"""Characters of a heading, a column or the name of a row that a question can repeat."""
LONGEST_ANSWER = 300
"""Characters of a section, a list or a definition that is a whole answer."""
LONGEST_SUBJECT = 6
"""Words of the subject of a definition."""
NAMED_ROWS = 0.8
"""Share of the rows that their first cells must tell apart; else the first column does not name the rows."""
ITEMS = range(2, 9)
"""Number of paragraphs that make up a list, each of at most LONGEST_VALUE characters."""
_PAIR = re.compile(r"([^:;\n]{1,60}): (\S.*)")
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*[.)]?|[A-Za-z][.)])\s+")
_WORD = re.compile(r"[^\W\d_]")
_STOPS = frozenset(".!?。！？؟।")
_NOT_IN_SUBJECT = re.compile(r"[,;:()\[\]\"“”„«»?!]")

Form = Literal["cell", "definition", "section", "list"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a document says about a name, in a form that a template can ask for."""

    form: Form
    name: str
    """The name of the row, the subject of the definition, or the heading."""
    column: str
    """Of a cell; the verb of a definition; empty for others."""
    answer: Quote
    quote: Quote
    """The row or sentence that holds the answer."""
    language: str

    @property
    def passage(self) -> Passage:
        return self.quote.passage

    @property
    def within(self) -> str:
        """The title of the document in parentheses behind a space; empty if the name says it or can do without it."""
        title, *parts = self.passage.heading.split(" > ")
        needed = parts or self.form == "cell"
        if self.form == "definition":
            needed = not any(word[0].isupper() for word in self.name.split())
        return f" ({title})" if needed and title and fold(title) not in fold(self.name) else ""

    @property
    def claim(self) -> tuple[str, str, str]:
        """Name and column, which two facts have in common that answer the same question, and the answer; all folded."""
        return fold(self.name), fold(self.column), fold(self.answer.text)


def cells(passages: Sequence[Passage], language: str) -> list[Fact]:
    """Return the cells of the tables of a file whose rows are named by their first cells.

    language: of the project; a passage that is clearly in another has that one.
    """
    tables: defaultdict[tuple[str, ...], list[_Row]] = defaultdict(list)
    for row in _rows(passages):
        tables[row.columns].append(row)
    return [
        Fact("cell", row.name, column, value, row.quote, detect(row.quote.passage.text, language))
        for rows in tables.values()
        for row in _named(rows)
        for column, value in row.pairs[1:]
        if _is_name(column) and len(value.text) <= LONGEST_VALUE and any(map(str.isalnum, value.text))
    ]


def statements(passages: Sequence[Passage], language: str) -> list[Fact]:
    """Return the definitions, the short sections and the lists of a file; `language` as in `cells`."""
    tables = {row.quote.passage.id for row in _rows(passages)}
    text = [passage for passage in passages if passage.id not in tables]
    by_section: defaultdict[tuple[str, str], list[Passage]] = defaultdict(list)
    for passage in passages:
        by_section[passage.document_id, passage.heading].append(passage)
    divided = {(document, above) for document, heading in by_section for above in _above(heading)}
    whole = [section[0] for key, section in by_section.items() if len(section) == 1 and key not in divided]
    sections = [_section(passage, language) for passage in whole]
    found = [fact for fact in sections if fact and fact.passage.id not in tables]
    return [*found, *(fact for passage in text for fact in _definitions(passage, language))]


@dataclass(frozen=True, slots=True)
class _Row:
    pairs: tuple[tuple[str, Quote], ...]
    """Names of the columns with the cells."""
    quote: Quote

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.pairs)

    @property
    def name(self) -> str:
        return self.pairs[0][1].text


def _rows(passages: Iterable[Passage]) -> Iterator[_Row]:
    for passage in passages:
        at = passage.start
        for line in passage.text.split("\n"):
            pairs = _pairs(line, Quote(passage, at, at + len(line)))
            if len(pairs) > 1:
                yield _Row(tuple(pairs), Quote(passage, at, at + len(line)))
            at += len(line) + 1


def _pairs(line: str, quote: Quote) -> list[tuple[str, Quote]]:
    """Return the cells of `Item: Breakfast; Limit: £9`; a piece without a name belongs to the cell before it."""
    pairs: list[tuple[str, Quote]] = []
    at = quote.start
    for piece in line.split("; "):
        end = at + len(piece)
        if match := _PAIR.fullmatch(piece):
            pairs.append((match[1], Quote(quote.passage, at + match.start(2), end)))
        elif not pairs:
            return []
        else:
            pairs[-1] = (pairs[-1][0], Quote(quote.passage, pairs[-1][1].start, end))
        at = end + len("; ")
    return pairs


def _named(rows: Sequence[_Row]) -> list[_Row]:
    """Return the rows that their first cells name, if these tell nearly all rows apart."""
    names = Counter(fold(row.name) for row in rows)
    if len(rows) < 2 or len(names) < NAMED_ROWS * len(rows):
        return []
    return [row for row in rows if names[fold(row.name)] == 1 and _is_name(row.name)]


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and _WORD.search(text) is not None


def _above(heading: str) -> Iterator[str]:
    """Yield the heading paths of the sections that a section is in."""
    while heading:
        heading = heading.rpartition(" > ")[0]
        yield heading


def _section(passage: Passage, language: str) -> Fact | None:
    """Return what a heading heads, if that is short enough to be an answer."""
    heading = _NUMBERING.sub("", passage.heading.rpartition(" > ")[2]).strip()
    if not _is_name(heading) or len(passage.text) > LONGEST_ANSWER:
        return None
    paragraphs = [line for line in passage.text.split("\n") if line.strip()]
    listed = len(paragraphs) in ITEMS and all(len(line) <= LONGEST_VALUE for line in paragraphs)
    whole = Quote(passage, passage.start, passage.end)
    if not listed and passage.text.rstrip()[-1:] not in _STOPS:
        return None  # a line below a title, or the beginning of something else
    form: Form = "list" if listed else "section"
    return Fact(form, heading, "", whole, whole, detect(passage.text, language))


def _definitions(passage: Passage, language: str) -> Iterator[Fact]:
    """Yield the sentences of the form `X is a Y`."""
    spoken = detect(passage.text, language)
    words, data = question_words().get(spoken), load(spoken)
    if words is None or data is None or not words.definitions:
        return
    verbs = "|".join(map(re.escape, words.definitions))
    pattern = re.compile(rf"(?P<subject>[^\n]+?) (?P<verb>{verbs}) (?P<rest>[^\n]+?)[.!]?")
    for start, end in sentences(passage.text, language=spoken):
        match = pattern.fullmatch(passage.text, start, end)
        if match is None or end - start > LONGEST_ANSWER or passage.text[end - 1] not in ".!":
            continue
        if _is_subject(match["subject"], words, data.stop_words) and _defines(match, words):
            first, second = match.span("rest")
            answer = Quote(passage, passage.start + first, passage.start + second)
            quote = Quote(passage, passage.start + start, passage.start + end)
            name = _within_sentence(match["subject"], words)
            yield Fact("definition", name, match["verb"], answer, quote, spoken)


def _is_subject(text: str, words: QuestionWords, stop_words: frozenset[str]) -> bool:
    """Whether a text names something by itself: not `it`, and not `the fee`, which is that of something else."""
    names = text.split()
    if names and names[0].lower() in words.articles:
        names = names[1:]
    if not 0 < len(names) <= LONGEST_SUBJECT or _NOT_IN_SUBJECT.search(text):
        return False
    if fold(names[0]) in stop_words or fold(names[-1]) in stop_words:
        return False
    return len(names) > 1 or names[0][0].isupper()


def _defines(match: re.Match[str], words: QuestionWords) -> bool:
    """Whether what follows the verb says what something is, not what is done with it."""
    first, *others = match["rest"].split()
    return len(others) > 1 and first.lower() in words.articles


def _within_sentence(subject: str, words: QuestionWords) -> str:
    first, space, rest = subject.partition(" ")
    return f"{first.lower()}{space}{rest}" if first.lower() in words.articles else subject
