"""Grids are read under the right column names, or under none: no row is ever named after another row of data."""

import random

import pytest
from benchmarks.table_shapes import MAKERS, judge

from groundtune.ingest.parsed import TextBuilder, render_row
from groundtune.ingest.table_shapes import Across, MarkedRow, join_names, mark_first_row, read_table

Grid = list[list[str]]


def read(grid: Grid) -> list[str]:
    return [render_row(row.cells, row.names) for row in read_table(grid)]


def grid(text: str) -> Grid:
    """`~` stands for a column that a merged cell covers."""
    rows = [[cell.strip() for cell in line.split("|")] if line.strip() else [] for line in text.split("\n")]
    for row in rows:
        for at, cell in enumerate(row):
            if cell == "~":
                row[at] = Across(row[at - 1])
    return rows


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("Model|Price\nWren|3,690", ["Model: Wren; Price: 3,690"]),
        (
            "Name|City|Age\nAnna|Graz|31\nBen|Linz|27",
            ["Name: Anna; City: Graz; Age: 31", "Name: Ben; City: Linz; Age: 27"],
        ),
        ("Years|Days\n1|26\n5|30", ["Years: 1; Days: 26", "Years: 5; Days: 30"]),
        (
            "Code|Meaning|Help\nE11|Sensor|Wait\nE12|Motor|Call",
            ["Code: E11; Meaning: Sensor; Help: Wait", "Code: E12; Meaning: Motor; Help: Call"],
        ),
        ("名前|年齢|住所\n佐藤太郎|30|東京", ["名前: 佐藤太郎; 年齢: 30; 住所: 東京"]),
        (
            "|Wren|Heron\nMotor|hub|mid\nBrake|disc|rim",
            ["Motor; Wren: hub; Heron: mid", "Brake; Wren: disc; Heron: rim"],
        ),
        ("first_name|unit\nAnna Lee|Sales North", ["first_name: Anna Lee; unit: Sales North"]),
        (
            "Model|Price\nWren|3690\nHeron|on request\nKite|990",
            ["Model: Wren; Price: 3690", "Model: Heron; Price: on request", "Model: Kite; Price: 990"],
        ),
    ],
)
def test_one_line_of_names(given: str, read_as: list[str]) -> None:
    assert read(grid(given)) == read_as


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("Country|2022|2023\nAustria|120|135", ["Country: Austria; 2022: 120; 2023: 135"]),
        ("Plan|1|2|3\nWren|9|14|29", ["Plan: Wren; 1: 9; 2: 14; 3: 29"]),
        ("Country|2022|Q1 2023|2024\nAustria|120|135|150", ["Country: Austria; 2022: 120; Q1 2023: 135; 2024: 150"]),
        ("Posten|31.12.2023|31.12.2024\nKasse|1.200|900", ["Posten: Kasse; 31.12.2023: 1.200; 31.12.2024: 900"]),
        ("Wren|2022|2023\nHeron|2021|2024", ["Wren; 2022; 2023", "Heron; 2021; 2024"]),
        ("Anna|1|2|3\nBen|4|5|6", ["Anna; 1; 2; 3", "Ben; 4; 5; 6"]),
    ],
)
def test_years_and_numbers_as_names(given: str, read_as: list[str]) -> None:
    assert read(grid(given)) == read_as


@pytest.mark.parametrize(
    "given",
    [
        "17|120|135\n18|90|95",
        "Anna|Dev|Graz\nBen|Ops|Linz\nCara|Ops|Wels",
        "Wren|3,690|2025-01-01\nHeron|5,490|2025-02-01",
        "Wren|n/a|n/a\nHeron|12|17\nKite|9|5",
        "Holder|Wren Ltd|City|Graz\nRent|1200|Deposit|3600",
        "yes|no|yes\nno|no|yes",
    ],
)
def test_data_alone_is_read_as_it_is(given: str) -> None:
    assert read(grid(given)) == [line.replace("|", "; ") for line in given.split("\n")]
    assert sum(row.unnamed for row in read_table(grid(given))) == 1


@pytest.mark.parametrize(
    "given",
    [
        "Contract holder|Wren Ltd\nStart|1 March\nNotice period|three months",
        "Tenant|Huber\nRent|1200\nDeposit|3600",
        "Type|Model\nPrice|3690\nColour|red",
        "Mieter|Huber KG\nBeginn|1. März\nKündigungsfrist|drei Monate",
    ],
)
def test_labels_name_their_own_value(given: str) -> None:
    assert read(grid(given)) == [line.replace("|", ": ") for line in given.split("\n")]


def test_labels_with_a_colon_name_the_next_cell() -> None:
    assert read(grid("Holder:|Wren Ltd|City:|Graz\nRent:|1200|Deposit:|3600")) == [
        "Holder: Wren Ltd; City: Graz",
        "Rent: 1200; Deposit: 3600",
    ]


@pytest.mark.parametrize(
    "given",
    [
        "|2024||2025|\nBranch|old|new|old|new\nGraz|10|12|12|15",
        "Branch|2024|~|2025|~\n|old|new|old|new\nGraz|10|12|12|15",
    ],
)
def test_two_lines_of_names(given: str) -> None:
    assert read(grid(given)) == ["Branch: Graz; 2024 old: 10; 2024 new: 12; 2025 old: 12; 2025 new: 15"]


def test_a_name_over_two_columns_names_both_and_a_cell_over_two_is_read_once() -> None:
    assert read(grid("Zone|Fee|~\nEU|9|14\nWorld|free|~\nMoon|1|2")) == [
        "Zone: EU; Fee: 9; Fee: 14",
        "Zone: World; Fee: free",
        "Zone: Moon; Fee: 1; Fee: 2",
    ]


@pytest.mark.parametrize("between", ["\n\n", "\n\n\n", "\n", "\nBranches\n", "\n\nBranches\n"])
def test_a_second_table_has_its_own_names(between: str) -> None:
    read_as = read(grid(f"Model|Price\nWren|3690{between}Branch|Opening hours\nGraz|9 to 17"))
    title = ["Branches"] if "Branches" in between else []
    assert read_as == ["Model: Wren; Price: 3690", *title, "Branch: Graz; Opening hours: 9 to 17"]


def test_a_table_of_the_same_kinds_below_an_empty_row_keeps_the_names() -> None:
    given = "Item|Zone|Fee\nLetter|EU|3\n\nParcel|EU|9"
    assert read(grid(given))[1] == "Item: Parcel; Zone: EU; Fee: 9"
    assert read(grid("Item|Fee\nLetter|3\n\nRent|1200\nDeposit|3600"))[1:] == ["Rent: 1200", "Deposit: 3600"]


def test_titles_and_labels_above_are_lines_of_their_own() -> None:
    above = "Statement\nHolder|Wren Ltd\nPeriod|March 2025\n"
    assert read(grid(f"{above}Date|Payee|Amount\n2025-03-03|Graz Energie|-120.50")) == [
        "Statement",
        "Holder: Wren Ltd",
        "Period: March 2025",
        "Date: 2025-03-03; Payee: Graz Energie; Amount: -120.50",
    ]


def test_tables_beside_each_other_are_parted_where_they_end_at_different_rows() -> None:
    given = "Model|Price||Branch|Opening hours\nWren|3690||Graz|9 to 17\nHeron|5490||Linz|8 to 12\nKite|990||"
    assert read(grid(given))[-2:] == ["Branch: Graz; Opening hours: 9 to 17", "Branch: Linz; Opening hours: 8 to 12"]


def test_a_repeated_line_of_names_is_no_row() -> None:
    assert read(grid("Model|Price\nWren|3690\nModel|Price\nHeron|5490")) == [
        "Model: Wren; Price: 3690",
        "Model: Heron; Price: 5490",
    ]


def test_a_marked_row_names_columns_of_words() -> None:
    assert read([MarkedRow(["Sorte", "Herkunft"]), ["Boskop", "Tirol"]]) == ["Sorte: Boskop; Herkunft: Tirol"]


def test_many_tables_below_each_other() -> None:
    rows = [
        row
        for number in range(2_000)
        for row in (["Model", "Price"], ["Wren", str(number)], ["Branch", "Hours"], ["Graz", "9"])
    ]
    assert len(read(rows)) == 4_000


def test_rows_without_a_text_of_their_own_and_of_placeholders() -> None:
    rows = [
        *grid("Item|Zone|Fee\nLetter|EU|3"),
        [],
        ["n/a", "-", "?"],
        [Across("x"), Across("x")],
        ["Parcel", "EU", "9"],
    ]
    assert read(rows) == ["Item: Letter; Zone: EU; Fee: 3", "n/a; -; ?", "Parcel; EU; 9"]


def test_a_title_may_stand_in_any_column() -> None:
    assert read(grid("Item|Fee|Zone\nLetter|3|EU\n|Parcels|\nBox|9|EU")) == [
        "Item: Letter; Fee: 3; Zone: EU",
        "Parcels",
        "Item: Box; Fee: 9; Zone: EU",
    ]


def test_join_names() -> None:
    assert join_names([["", "2024", "2024"], ["Branch", "old", "2024"]]) == ["Branch", "2024 old", "2024"]


def test_the_builder_notes_a_table_without_names() -> None:
    builder = TextBuilder()
    builder.table([["17", "120"], ["18", "90"]])
    builder.table([["19", "120"], ["20", "90"]], header=["Age", "Weight"])
    parsed = builder.build()
    assert parsed.text == "17; 120\n\n18; 90\n\nAge: 19; Weight: 120\n\nAge: 20; Weight: 90"
    assert [(note.kind, note.count) for note in parsed.notes] == [("no_header", 1)]


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        (
            "name|email\nAnna|a@x.org\nBen|\nCara|c@x.org",
            ["name: Anna; email: a@x.org", "name: Ben", "name: Cara; email: c@x.org"],
        ),
        (
            "Bauteil|2022|2023\n" + "\n".join(f"Welle {n}|1{n} kg|steel" for n in range(5)),
            [f"Bauteil: Welle {n}; 2022: 1{n} kg; 2023: steel" for n in range(5)],
        ),
        (
            "Step|Given by|Stays\nWarning|Lead|3 months\nLeave|Head|Always",
            ["Step: Warning; Given by: Lead; Stays: 3 months", "Step: Leave; Given by: Head; Stays: Always"],
        ),
        (
            "Grade|Sticker|Finding|Where it goes\nA|Green|No damage|Recycling",
            ["Grade: A; Sticker: Green; Finding: No damage; Where it goes: Recycling"],
        ),
        (
            "Sorte|Menge\nGala|12\nGala|15\nBoskop|9\nBoskop|7\nIdared|4",
            [
                f"Sorte: {text}"
                for text in (
                    "Gala; Menge: 12",
                    "Gala; Menge: 15",
                    "Boskop; Menge: 9",
                    "Boskop; Menge: 7",
                    "Idared; Menge: 4",
                )
            ],
        ),
    ],
)
def test_names_above_cells_that_repeat_lack_or_vary(given: str, read_as: list[str]) -> None:
    assert read(grid(given)) == read_as


def test_the_name_of_a_column_without_texts_is_read_behind_the_rows() -> None:
    assert read(grid("Model|Price|Stock|Note\nWren|3,690||\nHeron|990||")) == [
        "Model: Wren; Price: 3,690",
        "Model: Heron; Price: 990",
        "Stock; Note",
    ]
    assert read(grid("Model|2024|~\n|old|new\nWren|10|\nHeron|20|\nKite|30|"))[-1] == "2024 new"


def test_a_word_above_values_in_two_columns_is_a_label_and_noted() -> None:
    rows = [*read_table(grid("Pumpe|Remusa\nWelle|12\nRad|30"))]
    assert [(row.names, row.cells, row.unnamed) for row in rows] == [
        (["Pumpe"], ["Remusa"], True),
        (["Welle"], ["12"], False),
        (["Rad"], ["30"], False),
    ]
    assert not any(row.unnamed for row in read_table(grid("Holder|Wren Ltd\nStart|1 March\nNotice|three months")))


def test_a_first_row_that_a_style_sets_off_names_columns_but_no_pairs() -> None:
    for given, marked in (
        ("Depot|Town|Head\nWest|Graz|Ines", True),
        ("Depot|Bikes\nGraz|12\nLinz|30", True),
        ("Depot|Sorter\nGraz|Ines\nGraz|Olu", True),
        ("Holder|Wren Ltd\nStart|1 March\nNotice|three months", False),
        ("Founded|2001\nBikes|120", False),
    ):
        rows = grid(given)
        mark_first_row(rows)
        assert isinstance(rows[0], MarkedRow) == marked, given


def test_no_generated_grid_is_read_under_wrong_names() -> None:
    r = random.Random(11)
    verdicts = {judge(MAKERS[number % len(MAKERS)](r)) for number in range(300)}
    assert verdicts <= {"right", "unnamed"}


def test_a_marked_line_that_is_merged_into_the_next_one_names_columns_with_it() -> None:
    upper = MarkedRow(["Branch", "Fee", Across("Fee"), "Weight"])
    rows = [
        upper,
        ["Branch", "old", "new", "Weight"],
        ["Porto", "902.50", "n/a", "11 kg"],
        ["Lund", "n/a", "none", "9 kg"],
    ]
    assert [render_row(row.cells, row.names) for row in read_table(rows)] == [
        "Branch: Porto; Fee old: 902.50; Fee new: n/a; Weight: 11 kg",
        "Branch: Lund; Fee old: n/a; Fee new: none; Weight: 9 kg",
    ]
