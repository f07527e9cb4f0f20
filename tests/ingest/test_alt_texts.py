"""Alternative texts that people wrote are read, names of files and guesses of programs are not."""

import pytest

from groundtune.ingest.loaders.alt_texts import useful_alt_text


@pytest.mark.parametrize(
    "text", ["The wiring of the battery", "Floor plan 2025", "Bild der neuen Filiale", "KI-Stammtisch"]
)
def test_what_people_wrote_is_read(text: str) -> None:
    assert useful_alt_text(f" {text}\n") == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "image1.png",
        r"C:\pictures\my logo.JPG",
        "Picture 12",
        "Bild 3",
        "图片 4",
        "DSC_0042",
        "A picture containing text Description automatically generated",
        "Ein Bild, das Text enthält.\n\nAutomatisch generierte Beschreibung",
        "Une image contenant texte\n\nDescription générée automatiquement",
        "A diagram of a process\n\nAI-generated content may be incorrect.",
        "Ein Diagramm\n\nKI-generierte Inhalte können fehlerhaft sein.",
        "图形用户界面, 文本\n\nAI 生成的内容可能不正确。",
        "Un diagrama\n\nEl contenido generado por IA puede ser incorrecto.",
    ],
)
def test_names_of_files_and_guesses_of_programs_are_not(text: str | None) -> None:
    assert useful_alt_text(text) == ""
