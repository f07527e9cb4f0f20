"""Read the templates of questions that examples are drafted from without a language model, by language."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class QuestionWords:
    """The templates of one language."""

    templates: Mapping[str, str]
    """By name, with places in braces; `data/questions.toml` describes them."""
    articles: frozenset[str] = frozenset()
    indefinite: frozenset[str] = frozenset()
    """The articles with which a definition begins."""
    definitions: Mapping[str, str] = field(default_factory=dict)
    """Maps the verb of a definition to the question about its subject."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The same for a name that may be that of a person."""
    events: Mapping[str, str] = field(default_factory=dict)
    """Maps what follows the name of something that was done at a time to the question when."""


@cache
def question_words() -> Mapping[str, QuestionWords]:
    """Return the templates by the name of the language in the project file."""
    data = tomllib.loads((files("groundtune.languages") / "data" / "questions.toml").read_text("utf-8"))
    return {
        language: QuestionWords(
            {name: text for name, text in entries.items() if isinstance(text, str)},
            frozenset(entries.get("articles", ())),
            frozenset(entries.get("indefinite", ())),
            entries.get("definitions", {}),
            entries.get("names", {}),
            entries.get("events", {}),
        )
        for language, entries in data.items()
    }
