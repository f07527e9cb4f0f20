"""Words that say how a statement is meant, in every language with data."""

import pytest

from groundtune.languages.language import LANGUAGES, SIGNALS, load
from groundtune.languages.signals import signals


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("I think it is 30 days.", "english", {"doubt"}),
        ("It may be 30 days.", "english", {"doubt"}),
        ("It is 30 days.", "english", set()),
        ("It used to be 30 days.", "english", {"former"}),
        ("In which order are they done?", "english", {"order"}),
        ("Nur wenn der Chef zustimmt, vermutlich.", "german", {"condition", "doubt"}),
        ("Das ist nicht angegeben.", "german", {"doubt"}),
        ("Ce n'est pas précisé.", "french", {"doubt"}),
        ("Возможно, 30 дней.", "russian", {"doubt"}),
        ("I think so.", "klingon", set()),
    ],
)
def test_signals_are_found_by_the_words_of_the_language(text: str, language: str, found: set[str]) -> None:
    assert signals(text, language) == found


@pytest.mark.parametrize("name", [name for name in LANGUAGES if load(name)])
def test_every_entry_is_found_in_a_sentence_of_its_own(name: str) -> None:
    data = load(name)
    assert data is not None
    entries = [entry for exact in data.signals.exact.values() for entry in exact]
    assert {entry.value for entry in entries} == set(SIGNALS)
    texts = [(" ".join(entry.parts).replace("…", "x").replace("' ", "'"), entry.value) for entry in entries]
    lost = [text for text, value in texts if value not in signals(text, name)]
    assert lost == []
    assert {value for exact in data.joins.exact.values() for entry in exact for value in [entry.value]} == {"and", "or"}
