"""Load the data of a language. The files are in `data/`; its README describes them. Never guesses what they lack."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from groundtune.languages.lexicon import Lexicon
from groundtune.languages.tokens import Writing, fold, lower

LANGUAGES = {
    "arabic": "ar", "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi", "french": "fr",
    "german": "de", "greek": "el", "hungarian": "hu", "italian": "it", "norwegian": "no", "portuguese": "pt",
    "romanian": "ro", "russian": "ru", "spanish": "es", "swedish": "sv", "tamil": "ta", "turkish": "tr",
}  # fmt: skip
"""Languages with a stemmer, by their name in the project file, with their ISO 639-1 code."""

SENSES = (
    ("not",),
    ("before", "after"),
    ("least", "most"),
    ("more", "less"),
    ("with", "without"),
    ("rise", "fall"),
    ("allowed", "forbidden"),
    ("may", "should", "must"),
    ("all", "some", "only"),
    ("whole",),
)
"""Senses that every language file names; those of a group exclude each other. `opposites` of a file add more groups."""
BESIDE_UNITS = frozenset({"whole"})
"""Senses that a word has only beside a unit: each whole week."""
STRICT = frozenset({"whole", "not", "without", "least", "most", "more", "less", "only", "must", "forbidden"})
"""Senses that change a statement wherever they are added; the others only when one replaces another."""
BOUNDS = frozenset({"least", "most", "more", "less"})
"""Senses that limit an amount; elsewhere they mean little: until now, up to the mark, more information."""
KEPT = STRICT - {"only", "must"}
"""Senses that change a statement where they are left out."""

CONCORD = "concord"
"""Mark of negations that add nothing to another one in their clause: Spanish no … nunca."""
SIGNALS = ("doubt", "former", "current", "condition", "order")
"""How words say that a statement is meant: unsure, no longer true, true now, under a condition, as a sequence."""


@dataclass(frozen=True, slots=True)
class Numerals:
    """Words for numbers."""

    cardinal: Mapping[str, int]
    """Whole numbers, also as parts of compounds."""
    multiplier: Mapping[str, int]
    """Hundred, thousand and what else multiplies the number before it."""
    joiners: frozenset[str]
    """Words within a number, such as "and"."""
    teens: frozenset[str]
    """Words that add ten to the digit before them."""
    links: frozenset[str]
    """Words between a number and what it counts, such as Romanian "de"."""
    ordinal: Lexicon
    ordinal_endings: tuple[str, ...]
    """What makes an ordinal of a figure, the longest first: 5th."""
    other: Lexicon
    """Fractions, dozens, "twice"; the value is a decimal number."""
    articles: frozenset[str]
    """Words that may mean one, or nothing."""


@dataclass(frozen=True, slots=True)
class Language:
    """The data of one language, ready to look words up."""

    name: str
    writing: Writing
    decimal: str
    grouping: frozenset[str]
    date_order: str
    """`dmy`, `mdy` or `ymd`."""
    numerals: Numerals
    units: Lexicon
    units_before: Lexicon
    """Units that stand before their number."""
    months: Lexicon
    weekdays: Lexicon
    senses: Lexicon
    rivals: Mapping[str, frozenset[str]]
    """The senses that a sense excludes."""
    yes_no: Lexicon
    stop_words: frozenset[str]
    """Without accents."""
    clause_words: frozenset[str]
    joins: Lexicon
    """Words that join the items of a list: `and`, `or`."""
    signals: Lexicon
    """Words that say how a statement is meant, by the names of `SIGNALS`."""
    quantifiers: frozenset[str]
    """Words that speak of all or none of what follows, such as all, no."""
    change_words: Lexicon
    """Words before an amount that is what something changes `by`, `from` or `to`."""
    change_endings: Lexicon
    """Endings of such an amount."""
    bare_change: str
    """What an amount without either is; empty if it may be anything."""
    titles: frozenset[str]
    """Forms of address before a name."""
    abbreviations: frozenset[str]
    """Words whose full stop ends no sentence before a figure or a small letter."""
    irregular: Mapping[str, frozenset[str]]
    """The irregular words that a form belongs to, each by its first form."""
    examples: Mapping[str, tuple[tuple[str, str], ...]]
    """Pairs of texts that are the `same` or `different`, for the tests."""


@cache
def load(name: str) -> Language | None:
    """Return the data of a language by its name in the project file; None if there is none."""
    file = files("groundtune.languages") / "data" / f"{name}.toml"
    return _parse(name, tomllib.loads(file.read_text("utf-8"))) if file.is_file() else None


def _parse(name: str, data: Mapping[str, Any]) -> Language:
    numbers, words, writing = data["numbers"], data["words"], _writing(data["writing"])

    def lexicon(entries: Mapping[str, Iterable[str]]) -> Lexicon:
        return _lexicon(entries, writing)

    changes = {name: data["changes"].get(name, ()) for name in ("by", "from", "to")}
    opposites = [tuple(f"opposite {pole}" for pole in group) for group in data["opposites"]["groups"]]
    groups = [*SENSES, *opposites]
    senses = {sense: data["senses"].get(sense, ()) for group in SENSES for sense in group}
    senses |= {pole: pole.removeprefix("opposite ").split("|") for group in opposites for pole in group}
    return Language(
        name=name,
        writing=writing,
        decimal=numbers["decimal"],
        grouping=frozenset(numbers["grouping"]),
        date_order=numbers["date"],
        numerals=_numerals(data["numerals"], writing),
        units=lexicon(data["units"]),
        units_before=lexicon(data.get("units_before", {})),
        months=lexicon(data["months"]),
        weekdays=lexicon(data["weekdays"]),
        senses=lexicon({**senses, "": data["senses"].get("neutral", ()), CONCORD: data["senses"].get("concord", ())}),
        rivals={
            sense: frozenset(other for group in groups if sense in group for other in group if other != sense)
            for sense in senses
        },
        yes_no=lexicon({"yes": words["yes"], "no": words["no"]}),
        stop_words=frozenset(fold(word) for word in words["stop"].split()),
        clause_words=_forms(words["clause"], writing),
        joins=lexicon({name: words.get(name, ()) for name in ("and", "or")}),
        signals=lexicon({name: words.get(name, ()) for name in SIGNALS}),
        quantifiers=_forms(words.get("quantifiers", ()), writing),
        change_words=lexicon({name: [w for w in each if w[0] != "*"] for name, each in changes.items()}),
        change_endings=lexicon({name: [w for w in each if w[0] == "*"] for name, each in changes.items()}),
        bare_change=data["changes"].get("bare", ""),
        titles=_forms(words.get("titles", ()), writing),
        abbreviations=_forms(words.get("abbreviations", ()), writing),
        irregular=_irregular(words.get("irregular", "")),
        examples={
            kind: tuple((first, second) for first, second in data["examples"][kind]) for kind in ("same", "different")
        },
    )


def _numerals(data: Mapping[str, Any], writing: Writing) -> Numerals:
    def values(kind: str) -> dict[str, int]:
        entries = {key: words for key, words in data[kind].items() if key != "source"}
        return {lower(word, writing.letters): int(key) for key, words in entries.items() for word in words}

    def forms(kind: str) -> frozenset[str]:
        return _forms(data.get(kind, ()), writing)

    return Numerals(
        cardinal=values("cardinal"),
        multiplier=values("multiplier"),
        joiners=forms("joiners"),
        teens=forms("teens"),
        links=forms("links"),
        ordinal=_lexicon(data["ordinal"], writing),
        ordinal_endings=tuple(sorted(data.get("ordinal_endings", ()), key=len, reverse=True)),
        other=_lexicon(data.get("other", {}), writing),
        articles=forms("articles"),
    )


def _lexicon(entries: Mapping[str, Iterable[str]], writing: Writing) -> Lexicon:
    pairs = [(pattern, key) for key, patterns in entries.items() if key != "source" for pattern in patterns]
    return Lexicon.build(pairs, writing)


def _forms(entries: Iterable[str], writing: Writing) -> frozenset[str]:
    return frozenset(lower(word, writing.letters) for word in entries)


def _irregular(groups: str) -> dict[str, frozenset[str]]:
    """Return the words by their forms. groups: `go goes went gone; see saw seen`."""
    found: dict[str, set[str]] = {}
    for group in groups.split(";"):
        for form in group.split():
            found.setdefault(fold(form), set()).add(group.split()[0])
    return {form: frozenset(words) for form, words in found.items()}


def _writing(data: Mapping[str, Any]) -> Writing:
    return Writing(
        letters=tuple(data.get("letters", {}).items()),
        apostrophe=data.get("apostrophe", ""),
        prefixes=tuple(data.get("prefixes", ())),
        nouns_capitalised=data.get("nouns_capitalised", False),
        adjectives_follow=data.get("adjectives_follow", False),
        declines_names=data.get("declines_names", False),
        compounds=data.get("compounds", False),
        endings=frozenset(fold(ending) for ending in data.get("endings", "").split()),
        accents_matter=frozenset(data.get("accents_matter", ())),
        affixes=tuple(data.get("affixes", ())),
        negative_affixes=tuple(data.get("negative_affixes", ())),
        longest_ending=data.get("longest_ending", 3),
        alternations=tuple(data.get("alternations", {}).items()),
    )
