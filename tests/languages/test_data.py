import tomllib
from importlib.resources import files

import pytest

from groundtune.citations.close_matching import find_close
from groundtune.citations.quote_matching import find
from groundtune.languages.language import LANGUAGES, SENSES, Language, load

DATA = [language for name in LANGUAGES if (language := load(name))]
PAIRS = [
    pytest.param(language, first, second, kind == "same", id=f"{language.name}: {first} / {second}")
    for language in DATA
    for kind, pairs in language.examples.items()
    for first, second in pairs
]


@pytest.mark.parametrize(("language", "first", "second", "same"), PAIRS)
def test_the_examples_of_a_language_hold(language: Language, first: str, second: str, same: bool) -> None:
    assert _same(first, second, language.name) is same


def _same(first: str, second: str, language: str) -> bool:
    """Whether each of two texts supports the other, by the citation check and by its amounts."""
    return all(
        find(claim, text, language=language) or find_close(claim, text, language=language) is not None
        for claim, text in ((first, second), (second, first))
    )


@pytest.mark.parametrize("language", DATA, ids=lambda language: language.name)
def test_every_section_says_where_it_comes_from_and_nothing_is_unknown(language: Language) -> None:
    text = (files("groundtune.languages") / "data" / f"{language.name}.toml").read_text("utf-8")
    data = tomllib.loads(text)
    assert data["about"]["source"]
    known = {name for group in SENSES for name in group} | {"neutral", "concord", "source"}
    assert data["senses"].keys() <= known
    missing = [name for group in SENSES for name in group if not data["senses"].get(name)]
    assert missing == []
    assert {int(key) for key in data["months"] if key != "source"} == set(range(1, 13))
    assert {int(key) for key in data["weekdays"] if key != "source"} == set(range(1, 8))


@pytest.mark.parametrize("language", DATA, ids=lambda language: language.name)
def test_no_word_is_listed_twice_under_one_key(language: Language) -> None:
    data = tomllib.loads((files("groundtune.languages") / "data" / f"{language.name}.toml").read_text("utf-8"))
    for section in (*data["numerals"].values(), data["units"], data["months"], data["weekdays"], data["senses"]):
        for words in section.values() if isinstance(section, dict) else ():
            assert isinstance(words, str) or len(words) == len(set(words)), words
