import pytest

from groundtune.languages.detection import UNKNOWN, detect


@pytest.mark.parametrize(
    ("text", "expected", "language"),
    [
        ("The contract may be ended in writing within three months.", "german", "english"),
        ("Der Vertrag ist innerhalb von drei Monaten kündbar.", "english", "german"),
        ("Palautus on maksuton kolmenkymmenen päivän kuluessa.", "english", "finnish"),
        ("Ürün kullanılmamışsa iade otuz gün içinde ücretsizdir.", "english", "turkish"),
        ("Договор можно расторгнуть за три месяца.", "english", "russian"),
        ("Siparişler iki iş günü içinde kargoya verilir.", "turkish", "turkish"),
        ("Price: 5 euros; Weight: 3 kg", "german", "german"),
        ("The shops in Malmö, Göteborg and Åre open at nine.", "english", "english"),
        ("", "finnish", "finnish"),
        ("12 34", "finnish", "finnish"),
    ],
)
def test_a_text_keeps_the_expected_language_unless_it_clearly_is_in_another(
    text: str, expected: str, language: str
) -> None:
    assert detect(text, expected) == language


@pytest.mark.parametrize(
    "text",
    [
        "Umowa może zostać rozwiązana z trzymiesięcznym okresem wypowiedzenia.",
        "Договір можна розірвати письмово.",
        "Smlouvu lze vypovědět písemně do tří měsíců.",
    ],
)
@pytest.mark.parametrize("expected", ["english", "german", "russian"])
def test_a_language_without_data_is_unknown_where_its_letters_tell(text: str, expected: str) -> None:
    assert detect(text, expected) == UNKNOWN
