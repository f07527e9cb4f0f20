"""Find what templates can ask about: cells of tables, definitions, short sections and lists. Reads form, no meaning."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Literal

from groundtune.drafting.draft import Quote
from groundtune.languages.detection import detect
from groundtune.languages.language import Language, load
from groundtune.languages.question_words import QuestionWords, question_words
from groundtune.languages.text import content_words, sentences
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
"""Number of paragraphs that make up a list."""
LONGEST_ITEM = 6
"""Words of an item of a list; longer ones are statements, which nobody asks for as a list."""
ENTRIES = 3
"""Paragraphs of the form `Term. What it is` from which a section is a glossary."""
LONGEST_TERM = 4
"""Words of a term of a glossary."""
_PAIR = re.compile(r"([^:;\n]{1,60}): (\S.*)")
_ENTRY = re.compile(r"(?P<term>[^\n.:!?]+)[.:] (?P<rest>\S[^\n]*)")
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*[.)]?|[A-Za-z][.)])\s+")
_WORD = re.compile(r"[^\W\d_]")
_SPOKEN = re.compile(r"[^\W\d_]{3}")
_STOPS = frozenset(".!?。！？؟।")
_ASKS = re.compile(r"\s*[?？؟]$")
_NOT_IN_SUBJECT = re.compile(r"[,;:()\[\]\"“”„«»?!`]|''")
_OPEN = re.compile(r"[(\[“„«]")
_CLOSED = re.compile(r"[)\]”»]")

_DATE = r"(?P<date>(?:\d{1,2}\.? (?:de )?)?(?:[^\W\d_]+ (?:\d{1,2}, )?(?:de )?)?(?:1\d{3}|20\d{2}))"
_FOLLOWING = re.compile(r" ([^\W\d_]+)")
_LETTERS = re.compile(r"[^\W\d_]{3,}")

Form = Literal["cell", "definition", "section", "list", "term", "question", "event"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a document says about a name, in a form that a template can ask for."""

    form: Form
    name: str
    """The name of the row, the subject of the definition, or the heading."""
    column: str
    """Of a cell; the verb of a definition; what was done at a time; empty for others."""
    answer: Quote
    quote: Quote
    """The row or sentence that holds the answer."""
    language: str
    key: str = ""
    """Of a cell: the column that names the rows; of an event: the form of its sentence; empty for others."""

    @property
    def passage(self) -> Passage:
        return self.quote.passage

    @property
    def is_code(self) -> bool:
        """Whether the name of a row is a code or a figure, which says little without the name of its column."""
        return not _SPOKEN.search(self.name) or any(map(str.isdigit, self.name))

    @property
    def keyed(self) -> str:
        """The name of the row behind that of its column."""
        return f"{self.key}: {self.name}"

    @property
    def within(self) -> str:
        """The title of the document in parentheses behind a space; empty if the name says it or can do without it.

        The rows of a file without titles, such as a CSV file, have the name of the file.
        """
        title, *parts = self.passage.heading.split(" > ")
        if self.form == "cell" and not title:
            title = PurePosixPath(self.passage.source.partition("#")[0]).name
        if self.form == "term":
            title = parts[-1] if parts else title
        needed = parts or self.form in ("cell", "term")
        if self.form in ("definition", "event"):
            needed = not any(word[0].isupper() for word in self.name.split())
        return f" ({title})" if needed and title and fold(title) not in fold(self.name) else ""

    @property
    def claim(self) -> tuple[str, str, str]:
        """Name and column, which two facts have in common that answer the same question, and the answer; all folded."""
        return fold(self.name), fold(self.column), fold(self.answer.text)


def spoken_of_together(passages: Iterable[Passage]) -> Iterator[str]:
    """Yield the texts that speak of one thing: the rows of tables one by one, other passages whole; with headings."""
    for passage in passages:
        rows = [row.quote.text for row in _rows([passage])]
        rest = "\n".join(line for line in passage.text.split("\n") if line not in rows)
        yield from (f"{passage.source}\n{passage.heading}\n{text}" for text in (*rows, rest) if text.strip())


def cells(passages: Sequence[Passage], language: str) -> list[Fact]:
    """Return the cells of the tables of a file whose rows are named by their first cells.

    language: of the project; a passage that is clearly in another has that one.
    """
    tables: defaultdict[tuple[str, ...], list[_Row]] = defaultdict(list)
    for row in _rows(passages):
        tables[row.table].append(row)
    return [
        Fact("cell", row.name, column, value, row.quote, detect(row.quote.passage.text, language), row.columns[0])
        for rows in tables.values()
        for row in _named(rows)
        for column, value in row.pairs[1:]
        if _is_name(column) and len(value.text) <= LONGEST_VALUE and any(map(str.isalnum, value.text))
        if not _ASKS.search(row.name)
    ]


def statements(passages: Sequence[Passage], language: str) -> list[Fact]:
    """Return the definitions, the short sections, the lists and the answered questions of a file.

    language: as in `cells`.
    """
    rows = list(_rows(passages))
    tables = {row.quote.passage.id for row in rows}
    text = [passage for passage in passages if passage.id not in tables]
    by_section: defaultdict[tuple[str, str], list[Passage]] = defaultdict(list)
    for passage in passages:
        by_section[passage.document_id, passage.heading].append(passage)
    divided = {(document, above) for document, heading in by_section for above in _above(heading)}
    whole = [section[0] for key, section in by_section.items() if len(section) == 1 and key not in divided]
    glossaries = _glossaries(by_section.values(), language)
    terms = {fact.passage.id for fact in glossaries}
    sections = [_section(passage, language) for passage in whole if passage.id not in terms]
    found = [fact for fact in sections if fact and fact.passage.id not in tables]
    answered = [fact for row in rows if (fact := _answered(row, language))]
    defined = [fact for passage in text for fact in _definitions(passage, language) if _introduces(fact, passages)]
    happened = [fact for passage in text for fact in _events(passage, language) if _is_known(fact, passages)]
    return [*found, *glossaries, *answered, *defined, *happened]


@dataclass(frozen=True, slots=True)
class _Row:
    pairs: tuple[tuple[str, Quote], ...]
    """Names of the columns with the cells."""
    quote: Quote

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.pairs)

    @property
    def table(self) -> tuple[str, ...]:
        """What the rows of one table have in common; a row may lack a column, which is then not written."""
        passage = self.quote.passage
        return (passage.heading if "#" not in passage.source else "", self.columns[0])

    @property
    def name(self) -> str:
        return self.pairs[0][1].text


def _rows(passages: Iterable[Passage]) -> Iterator[_Row]:
    for passage in passages:
        at = passage.start
        for line in passage.text.split("\n"):
            pairs = _pairs(line, Quote(passage, at, at + len(line)))
            if pairs and pairs[0][1].text == passage.source.partition("#")[2]:
                del pairs[0]  # the id of a row of a table file names nothing
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
    """Return what a heading heads, if that is short enough to be an answer, and about what the heading names."""
    heading = _NUMBERING.sub("", passage.heading.rpartition(" > ")[2]).strip()
    if not _is_name(heading) or len(passage.text) > LONGEST_ANSWER:
        return None
    spoken = detect(passage.text, language)
    paragraphs = [line for line in passage.text.split("\n") if line.strip()]
    listed = len(paragraphs) in ITEMS and all(
        len(line.split()) <= LONGEST_ITEM and line.rstrip()[-1:] not in _STOPS for line in paragraphs
    )
    whole = Quote(passage, passage.start, passage.end)
    if listed:
        return Fact("list", heading, "", whole, whole, spoken)
    if any(line.rstrip()[-1:] not in _STOPS for line in paragraphs):
        return None  # a line below a title, or the beginning of something else
    if _ASKS.search(heading):
        return Fact("question", heading, "", whole, whole, spoken)
    names, said = (set(content_words(text, language=spoken)) for text in (heading, passage.text))
    return Fact("section", heading, "", whole, whole, spoken) if names & said else None


def _glossaries(sections: Iterable[Sequence[Passage]], language: str) -> list[Fact]:
    """Return the terms of glossaries: not what heads a part of several sections, such as `Fixed: …`."""
    found = [_glossary(section, language) for section in sections]
    names = Counter(fold(fact.name) for terms in found for fact in terms)
    return [fact for terms in found for fact in terms if all(names[fold(each.name)] == 1 for each in terms)]


def _glossary(section: Sequence[Passage], language: str) -> list[Fact]:
    """Return the terms of a section of which nearly every paragraph has the form `Term. What it is`."""
    found, paragraphs = [], 0
    for passage in section:
        at = passage.start
        for line in passage.text.split("\n"):
            match = _ENTRY.fullmatch(line)
            paragraphs += bool(line.strip())
            if match and len(match["term"].split()) <= LONGEST_TERM and line.rstrip()[-1:] in _STOPS:
                whole = Quote(passage, at, at + len(line))
                answer = Quote(passage, at + match.start("rest"), at + match.end("rest"))
                spoken = detect(line, language)
                if len(line) <= LONGEST_ANSWER and _is_name(match["term"]):
                    found.append(Fact("term", match["term"].strip(), "", answer, whole, spoken))
            at += len(line) + 1
    return found if len(found) >= max(ENTRIES, NAMED_ROWS * paragraphs) else []


def _answered(row: _Row, language: str) -> Fact | None:
    """Return the question of a row that begins with one, and the longest of its other cells, if it is long enough."""
    spoken = detect(row.quote.passage.text, language)
    answer = max((value for _, value in row.pairs[1:]), key=lambda value: len(value.text))
    if not _ASKS.search(row.name) or not len(row.name) < len(answer.text) <= LONGEST_ANSWER:
        return None
    return Fact("question", row.name, "", answer, row.quote, spoken)


def _definitions(passage: Passage, language: str) -> Iterator[Fact]:
    """Yield the sentences of the form `X is a Y`."""
    spoken = detect(passage.text, language)
    words, data = question_words().get(spoken), load(spoken)
    if words is None or data is None or not words.definitions:
        return
    verbs = "|".join(map(re.escape, words.definitions))
    pattern = re.compile(
        rf"(?P<subject>[^\n]+?)(?: \([^()\n]*\))? (?P<verb>{verbs}) (?P<rest>[^\n;]+?)(?:;[^\n]*)?\s*[.!]?"
    )
    for start, end in sentences(passage.text, language=spoken):
        match = pattern.fullmatch(passage.text, start, end)
        if match is None or end - start > LONGEST_ANSWER or passage.text[end - 1] not in ".!":
            continue
        if _is_subject(match["subject"], words, data) and _defines(match, words):
            first, second = match.span("rest")
            answer = Quote(passage, passage.start + first, passage.start + second)
            quote = Quote(passage, passage.start + start, passage.start + end)
            name = _within_sentence(match["subject"], words)
            yield Fact("definition", name, match["verb"], answer, quote, spoken)


def _events(passage: Passage, language: str) -> Iterator[Fact]:
    """Yield the sentences that say when something was done: X was founded in 1890."""
    spoken = detect(passage.text, language)
    words, data = question_words().get(spoken), load(spoken)
    if words is None or data is None or not words.events:
        return
    patterns = [(form, _event_pattern(form)) for form in words.events]
    for start, end in sentences(passage.text, language=spoken):
        for form, pattern in patterns:
            match = pattern.match(passage.text, start, end)
            if match is None or end - start > LONGEST_ANSWER or not _is_subject(match["subject"], words, data):
                continue
            done, following = match["done"].split(), _FOLLOWING.match(passage.text, match.end("date"))
            dated = all(fold(word) in data.months.exact for word in _LETTERS.findall(match["date"]))
            plain = following is None or fold(following[1]) in data.stop_words
            if dated and plain and not any(fold(word) in data.stop_words for word in done):
                answer = Quote(passage, passage.start + match.start("date"), passage.start + match.end("date"))
                quote = Quote(passage, passage.start + start, passage.start + end)
                name = _within_sentence(match["subject"], words)
                yield Fact("event", name, match["done"], answer, quote, spoken, form)


@cache
def _event_pattern(form: str) -> re.Pattern[str]:
    places = {re.escape("{done}"): r"(?P<done>[^\W\d_]+(?: [^\W\d_]+){0,2})", re.escape("{date}"): _DATE}
    said = re.escape(form)
    for place, pattern in places.items():
        said = said.replace(place, pattern)
    return re.compile(rf"(?P<subject>[^\n]+?) {said}(?![\w-])")


def _is_known(fact: Fact, passages: Iterable[Passage]) -> bool:
    """Whether the subject of an event is a name or a term by itself, not a word that the sentence capitalises."""
    article, name = _split_article(fact.name, question_words()[fact.language])
    within = re.compile(rf"(?<=[^\W\d_A-Z] ){re.escape(name)}(?!\w)")
    return bool(article or is_full_name(name) or any(within.search(passage.text) for passage in passages))


def _is_subject(text: str, words: QuestionWords, data: Language) -> bool:
    """Whether a text names something by itself: not `it`, and not `the fee`, which is that of something else."""
    article, name = _split_article(text, words)
    names = name.split()
    if not 0 < len(names) <= LONGEST_SUBJECT or _NOT_IN_SUBJECT.search(text):
        return False
    if (
        fold(names[0]) in data.stop_words
        or fold(names[-1]) in data.stop_words
        or fold(names[0]) in data.numerals.cardinal
    ):
        return False
    return article.lower() in words.indefinite or names[0][0].isupper()


def _defines(match: re.Match[str], words: QuestionWords) -> bool:
    """Whether what follows the verb says what something is, not what is done with it, and not which one it is."""
    first, *others = match["rest"].split()
    whole = len(_OPEN.findall(match["rest"])) == len(_CLOSED.findall(match["rest"])) and " . " not in match["rest"]
    return len(others) > 1 and first.lower() in words.indefinite and whole


def _introduces(fact: Fact, passages: Iterable[Passage]) -> bool:
    """Whether a definition is where its document first speaks of its subject.

    A later sentence says something about a thing that is known already, whatever its form. What only the beginning of
    the sentence may have made look like a name, or its article like a term, must be spoken of again.
    """
    article, name = _split_article(fact.name, question_words()[fact.language])
    texts = [(passage.start, passage.text) for passage in passages if passage.document_id == fact.passage.document_id]
    before = (text[: fact.quote.start - start] for start, text in texts if start < fact.quote.start)
    after = (text[max(0, fact.quote.end - start) :] for start, text in texts if start + len(text) > fact.quote.end)
    named = re.compile(rf"(?<!\w){re.escape(name)}", re.IGNORECASE)
    indefinite = article in question_words()[fact.language].indefinite
    known = is_full_name(name) or (article and not indefinite)
    return not any(map(named.search, before)) and bool(known or any(map(named.search, after)))


def is_full_name(text: str) -> bool:
    """Whether a text looks like a name of several words in any language with capital letters."""
    names = text.split()
    return len(names) > 1 and names[0][0].isupper() and names[-1][0].isupper()


def _split_article(subject: str, words: QuestionWords) -> tuple[str, str]:
    first, space, rest = subject.partition(" ")
    return (first, rest) if space and first.lower() in words.articles else ("", subject)


def _within_sentence(subject: str, words: QuestionWords) -> str:
    article, name = _split_article(subject, words)
    return f"{article.lower()} {name}" if article else subject
