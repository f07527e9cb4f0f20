"""Programs, and libraries for mail and Markdown, show what the generator wrote, and what is read of real files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.oracles.differential import compare_file, read
from benchmarks.oracles.exceptions import exceptions_of
from benchmarks.oracles.generated import write_all
from benchmarks.oracles.structures import truth
from benchmarks.oracles.tokens import compare, tokens
from benchmarks.oracles.visible import see

from groundtune.errors import ParseError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("GROUNDTUNE_DATA", ROOT.parent / "shared" / "data"))
TARGET = 0.995


def test_programs_show_what_the_generator_wrote(tmp_path: Path, need: Callable[..., None]) -> None:
    need("libreoffice", "poppler", "browser")
    written = write_all(range(540, 543), tmp_path, [".docx", ".pptx", ".xlsx", ".html", ".epub", ".md", ".eml"])
    seen = see(list(written))
    for path, document in written.items():
        facts, shown = truth(document), seen[path]
        assert shown is not None, path
        wanted = [token for piece in facts.pieces for token in tokens(piece.text)]
        result = compare([token for token in wanted if token != "^"], [tokens(shown.certain[-1])])
        assert result.seen >= 0.95 * result.read, (path.name, result.unseen)


def test_what_is_read_of_real_files_is_what_programs_show(need: Callable[..., None]) -> None:
    need("libreoffice", "poppler", "browser")
    folders = [ROOT / "examples" / "handbook" / "docs", DATA / "markitdown-fixtures"]
    suffixes = (".docx", ".pptx", ".xlsx", ".html", ".pdf", ".csv", ".epub", ".md", ".msg")
    files = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in suffixes and path.parent.name != "expected_outputs"
    )
    outcomes, seen = read(files), see(files)
    for suffix in suffixes:
        results = []
        for file in (file for file in files if file.suffix == suffix):
            outcome, shown = outcomes[file], seen[file]
            if file.name in exceptions_of(suffix).files:
                continue
            if not isinstance(outcome, ParseError) and shown is not None:
                results.append(compare_file(outcome, shown, exceptions_of(suffix)))
        if not results:
            continue
        present = sum(each.present for each in results) / sum(each.visible for each in results)
        read_and_seen = sum(each.seen for each in results) / sum(each.read for each in results)
        assert min(present, read_and_seen) >= TARGET, (suffix, present, read_and_seen)
