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
    definitions: Mapping[str, str] = field(default_factory=dict)
    """Maps the verb of a definition to the question about its subject."""


@cache
def question_words() -> Mapping[str, QuestionWords]:
    """Return the templates by the name of the language in the project file."""
    data = tomllib.loads((files("groundtune.languages") / "data" / "questions.toml").read_text("utf-8"))
    return {
        language: QuestionWords(
            {name: text for name, text in entries.items() if isinstance(text, str)},
            frozenset(entries.get("articles", ())),
            entries.get("definitions", {}),
        )
        for language, entries in data.items()
    }
