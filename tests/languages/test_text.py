import pytest

from groundtune.languages.text import sentences


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("norwegian", "Åpent fra 1. mai. Ring oss.", ["Åpent fra 1. mai.", "Ring oss."]),
        ("norwegian", "Prisen er kr. 50. Ring oss.", ["Prisen er kr. 50.", "Ring oss."]),
        ("hungarian", "Nyitva 2024. május 3. napjától. Új mondat.", ["Nyitva 2024. május 3. napjától.", "Új mondat."]),
        ("russian", "Срок 3 мес. с даты. Цена 5 руб.", ["Срок 3 мес. с даты.", "Цена 5 руб."]),
        ("turkish", "Ücret 5 TL. 3. madde geçerlidir.", ["Ücret 5 TL.", "3. madde geçerlidir."]),
        ("tamil", "ரூ. 500 கட்டணம். புதிய வாக்கியம்.", ["ரூ. 500 கட்டணம்.", "புதிய வாக்கியம்."]),
        ("english", "It costs 5. Then more.", ["It costs 5.", "Then more."]),
    ],
)
def test_a_date_or_an_abbreviation_ends_no_sentence(language: str, text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text, language=language)] == expected


@pytest.mark.parametrize("space", ["\u00a0", "\u0085", "\u2009", "\u3000"])
def test_wide_white_space_at_an_abbreviation_stops_nothing(space: str) -> None:
    text = f"We paid W{space}.\n   e.g. twice. Then not."
    assert [text[start:end] for start, end in sentences(text)][-1] == "Then not."
