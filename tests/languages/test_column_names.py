"""Words for kinds of things are told from the things themselves."""

import pytest

from groundtune.languages.column_names import names_a_column


@pytest.mark.parametrize(
    "text",
    [
        "Price",
        "Unit price",
        "customerId",
        "first_name",
        "Lieferzeit",
        "Öffnungszeiten",
        "Prix unitaire",
        "Fecha",
        "年齢",
        "数量",
        "Цена",
        "Where it goes",
        "Given by",
        "Gültig bis",
    ],
)
def test_column_names(text: str) -> None:
    assert names_a_column(text)


@pytest.mark.parametrize(
    "text",
    [
        "Wren Ltd",
        "Anna",
        "Graz",
        "9 to 17",
        "Finland",
        "Deutschland",
        "中国",
        "three months",
        "3,690",
        "",
        "Where is it?",
        "valid from 2020",
    ],
)
def test_other_texts(text: str) -> None:
    assert not names_a_column(text)
