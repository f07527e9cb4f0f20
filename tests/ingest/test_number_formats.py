"""Numbers are shown as spreadsheets show them, by their format codes."""

import pytest

from groundtune.ingest.number_formats import show_number, show_text


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (54.0, "General", "54"),
        (1 / 3, "General", "0.3333333333"),
        (9783161484100, "General", "9783161484100"),
        (1e20, "General", "1E+20"),
        (0.125, "0.00", "0.13"),
        (-5, "0", "-5"),
        (3655, "#,##0", "3,655"),
        (-0.3, "0", "0"),
        (-1.0, "#,##0,", "0"),
        (1234567, '0.0,,"M"', "1.2M"),
        (4711, "00000", "04711"),
        (123456789, "000-00-0000", "123-45-6789"),
        (0.5, "#.##", ".5"),
        (3, "0.###", "3"),
        (0.125, "0.0%", "12.5%"),
        (76, '"€" 0', "€ 76"),
        (899, '0" kg"', "899 kg"),
        (1234.5, "#,##0.00 [$€-407]", "1,234.50 €"),
        (-1234.5, "#,##0.00;(#,##0.00)", "(1,234.50)"),
        (-1234.5, "#,##0.00 [$€-407];[Red]-#,##0.00 [$€-407]", "-1,234.50 €"),
        (0, '0;-0;"none"', "none"),
        (500, '[>=100]"many";[<10]"few";0', "many"),
        (7, ";;;", ""),
        (1.5, "# ?/?", "1 1/2"),
        (0.25, "?/4", "1/4"),
        (12345, "0.00E+00", "1.23E+04"),
        (0.00012, "0.00E+00", "1.20E-04"),
    ],
)
def test_numbers(value: float, code: str, shown: str) -> None:
    assert show_number(value, code) == shown


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (45658, "dd.mm.yyyy", "01.01.2025"),
        (45658.5, "yyyy-mm-dd h:mm:ss", "2025-01-01 12:00:00"),
        (45658, "d. mmmm yyyy", "1. January 2025"),
        (45658, "[$-407]dddd, d. mmmm yyyy", "Mittwoch, 1. Januar 2025"),
        (45658, 'yyyy"年"m"月"d"日"', "2025年1月1日"),
        (45658, "mmm-yy", "Jan-25"),
        (0.0625, "h:mm AM/PM", "1:30 AM"),
        (1.5, "[h]:mm", "36:00"),
        (1.0, "yyyy-mm-dd", "1900-01-01"),
        (-1.0, "yyyy-mm-dd", "-1"),
    ],
)
def test_dates_and_times(value: float, code: str, shown: str) -> None:
    assert show_number(value, code) == shown


def test_dates_from_1904() -> None:
    assert show_number(0, "yyyy-mm-dd", from_1904=True) == "1904-01-01"


def test_texts() -> None:
    assert show_text("x", '"Ref: "@') == "Ref: x"
    assert show_text("x", "0.00") == "x"
    assert show_text("x", ";;;") == ""
