"""Make a document from choices: every structure, nested and combined. The same choices give the same document."""

import random
from collections.abc import Callable

from benchmarks.oracles.sentences import TEMPLATES, Words
from benchmarks.oracles.structures import (
    Block,
    Cell,
    Document,
    Field,
    Heading,
    Hidden,
    Item,
    Items,
    Label,
    Paragraph,
    Picture,
    Run,
    Table,
)

_VALUES = ("{n}", "3,{n}", "{n}.50", "-{n}", "{n}%", "€ {n}", "{word}", "{n} kg")
"""Kinds of columns of a table."""
_LABELS: tuple[Label | None, ...] = (None, "decimal", "letter", "roman")


def generate(choices: random.Random, *, languages: tuple[str, ...] = tuple(TEMPLATES)) -> Document:
    """Return a document of 4 to 16 blocks below a level-1 heading."""
    maker = _Maker(choices, languages)
    blocks: list[Block] = [Heading(1, maker.heading())]
    level = 1
    for _ in range(choices.randint(4, 16)):
        block = choices.choice(maker.kinds)()
        if isinstance(block, Heading):
            level = choices.randint(1, min(3, level + 1))
            block = Heading(level, block.text)
        blocks.append(block)
    furnished = choices.random() < 0.5
    return Document(
        title=maker.words.name(),
        blocks=tuple(blocks),
        header=f"Contract {maker.words.name()} {maker.words.number()}" if furnished else None,
        footer=f"Confidential {maker.words.name()}" if furnished else None,
    )


class _Maker:
    """Makes blocks of every kind with words that occur once."""

    def __init__(self, choices: random.Random, languages: tuple[str, ...]) -> None:
        self.choices = choices
        self.words = Words(choices)
        self._languages = languages
        several = [self.paragraph, self.paragraph, self.paragraph, self.items, self.table, self.table]
        self.kinds: tuple[Callable[[], Block], ...] = (
            *several,
            self._heading_block,
            self._heading_block,
            self.form,
            self.label_table,
            self.field,
            self.picture,
            self.hidden,
        )

    def heading(self) -> str:
        pattern = self.choices.choice(("{0}", "{0} and {1}", "{0}: {n} rules", "§ {n} {0}", "What is a {0}?"))
        return pattern.format(self.words.name(), self.words.word(), n=self.words.number())

    def _heading_block(self) -> Heading:
        return Heading(1, self.heading())

    def paragraph(self) -> Paragraph:
        language = self.choices.choice(self._languages)
        runs = [Run(self.words.sentence(language))]
        for _ in range(self.choices.randint(0, 3)):
            runs += [Run(" "), *self._special(language)]
        return Paragraph(tuple(runs), language)

    def _special(self, language: str) -> list[Run]:
        word, number = self.words.word(), self.words.number()
        match self.choices.randrange(8):
            case 0:
                return [Run(f"The {word} moves 10"), Run(str(number % 9 + 2), "superscript"), Run(" litres.")]
            case 1:
                return [Run(f"The {word} takes CO"), Run("2", "subscript"), Run(f" and {number} g of salt.")]
            case 2:
                return [
                    Run(f"The {word} is due within "),
                    Run(f"{self.words.word()} ", "struck"),
                    Run(f"{number} days."),
                ]
            case 3:
                return [Run(f"The {word} is "), Run(f"{self.words.word()} ", "hidden"), Run("open.")]
            case 4:
                return [Run(f"The {word} costs {number}", note=f"Not for {self.words.word()}."), Run(" a month.")]
            case 5:
                return [Run("See "), Run(f"the {word} page", "link"), Run(" first.")]
            case 6:
                return [Run("Mind the "), Run(word, "bold"), Run(f"{self.words.word()[:3]}.")]
            case _:
                return [Run(self.words.sentence(language))]

    def items(self, depth: int = 0) -> Items:
        items = []
        for _ in range(self.choices.randint(2, 4)):
            below = self.items(depth + 1) if depth < 2 and self.choices.random() < 0.25 else None
            items.append(Item((Run(self.words.sentence("en")),), below))
        return Items(tuple(items), self.choices.choice(_LABELS))

    def table(self) -> Table:
        columns = self.choices.randint(2, 5)
        count = self.choices.choice((1, 2, 3, 5, 60))
        header = [tuple(Cell(self.words.name()) for _ in range(columns))]
        match self.choices.randrange(4):
            case 0 if columns > 2:
                header = self._two_lines(columns)
            case 1:
                years = self.choices.randint(1990, 2020)
                header = [(Cell(self.words.name()), *(Cell(str(years + n)) for n in range(columns - 1)))]
        patterns = ["{name}", *(self.choices.choice(_VALUES) for _ in range(columns - 1))]
        rows = [tuple(self._value(pattern) for pattern in patterns) for _ in range(count)]
        if count >= 2 and self.choices.random() < 0.3:
            top = Cell(rows[0][0].text, rows=2)
            rows[:2] = [(top, *rows[0][1:]), rows[1][1:]]
        return Table((*header, *rows), header=len(header))

    def _two_lines(self, columns: int) -> list[tuple[Cell, ...]]:
        upper = (Cell(self.words.name(), rows=2), Cell(self.words.name(), columns=2))
        rest = tuple(Cell(self.words.name(), rows=2) for _ in range(columns - 3))
        return [(*upper, *rest), (Cell(self.words.name()), Cell(self.words.name()))]

    def _value(self, pattern: str) -> Cell:
        """Return a value of a column; some are missing, and some are of another kind."""
        if pattern != "{name}":
            other = self.choices.random()
            pattern = "" if other < 0.08 else "n/a" if other < 0.11 else pattern
        return Cell(pattern.format(n=self.words.number(), word=self.words.word(), name=self.words.name()))

    def label_table(self) -> Table:
        rows = [
            (Cell(self.words.name()), Cell(f"{self.words.name()} {self.words.number()}"))
            for _ in range(self.choices.randint(2, 5))
        ]
        return Table(tuple(rows), header=0, labels=True)

    def form(self) -> Field:
        return Field(self.words.name(), self.choices.choice((True, False)))

    def field(self) -> Field:
        return Field(f"{self.words.name()}:", f"{self.words.name()} {self.words.number()}")

    def picture(self) -> Picture:
        return Picture(f"A picture of {self.words.name()}")

    def hidden(self) -> Hidden:
        return Hidden(f"Nobody sees {self.words.word()}.")
