"""Generated documents are the same for the same seed, and their writers write what they say."""

import random
from pathlib import Path

import pytest
from benchmarks.oracles.generate import generate
from benchmarks.oracles.structures import Cell, Document, Heading, Paragraph, Run, Table, truth
from benchmarks.oracles.writers import FORMATS, write
from hypothesis import given
from hypothesis import strategies as st


@given(st.randoms(use_true_random=False))
def test_generated_tables_have_a_cell_in_every_place(choices: random.Random) -> None:
    for block in generate(choices).blocks:
        if isinstance(block, Table):
            grid = block.grid()
            assert len(grid) == len(block.rows)
            assert len({len(row) for row in grid}) == 1


def test_a_seed_stands_for_one_document() -> None:
    assert generate(random.Random(7)) == generate(random.Random(7))
    assert generate(random.Random(7)) != generate(random.Random(8))


def test_truth_of_a_table_with_merged_cells() -> None:
    head = (Cell("Zone", rows=2), Cell("Price", columns=2))
    table = Table((head, (Cell("old"), Cell("new")), (Cell("EU"), Cell("9"), Cell("14"))), header=2)
    facts = truth(Document("t", (Heading(1, "Fees"), table)))
    assert [piece.text for piece in facts.pieces] == ["Fees", "Zone Price", "old new", "EU 9 14"]
    assert facts.pieces[-1].heading == ("Fees",)
    assert facts.pieces[-1].values == ((("Zone",), "EU"), (("Price", "old"), "9"), (("Price", "new"), "14"))


def test_truth_of_runs() -> None:
    runs = (Run("moves 10"), Run("6", "superscript"), Run(" litres"), Run("gone", "struck"), Run(".", note="Roughly."))
    facts = truth(Document("t", (Paragraph(runs),)))
    assert [piece.text for piece in facts.pieces] == ["moves 10^6 litres.", "Roughly."]
    assert facts.hidden == ("gone",)


@pytest.mark.parametrize("suffix", sorted(set(FORMATS) - {".pdf"}))
def test_every_format_is_written(suffix: str, tmp_path: Path) -> None:
    written = [write(generate(random.Random(seed)), tmp_path / f"{seed}{suffix}") for seed in range(4)]
    assert any(document is not None and document.blocks for document in written)
