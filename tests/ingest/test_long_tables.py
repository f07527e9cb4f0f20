"""Every row of a long table arrives: nothing is lost where a loader looks ahead for the header."""

from pathlib import Path

import openpyxl
import pytest

from groundtune.ingest.loaders import load


@pytest.mark.parametrize("rows", [1, 8, 9, 10, 11, 12, 200])
def test_every_row_of_a_sheet_arrives(tmp_path: Path, rows: int) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Article", "Remark"])
    for number in range(rows):
        sheet.append([f"AC-{number:03}", f"remark number {number}"])
    book.save(tmp_path / "a.xlsx")
    (parsed,) = load(tmp_path / "a.xlsx")
    assert [f"AC-{number:03}" in parsed.text for number in range(rows)] == [True] * rows
    assert len(parsed.blocks) == rows


@pytest.mark.parametrize("rows", [1, 49, 50, 51, 52, 300])
def test_every_row_of_a_csv_arrives(tmp_path: Path, rows: int) -> None:
    lines = ["id,text", *(f"r{number},remark number {number}" for number in range(rows))]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    parsed = load(tmp_path / "a.csv")
    assert [part.row_id for part in parsed] == [f"r{number}" for number in range(rows)]
    assert [part.text for part in parsed] == [f"remark number {number}" for number in range(rows)]
