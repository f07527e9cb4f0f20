"""Which parser reads a file, and that a chosen one goes through the same sandbox, ledger and offsets."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docx
import pytest

from groundtune.config import load_config
from groundtune.errors import ConfigError, MissingError, ParseError
from groundtune.ingest.loaders import is_readable, load
from groundtune.ingest.parser_rules import ParserChoice, choose_parser
from groundtune.ingest.parsers import find_parser
from groundtune.ingest.parsers.find_libreoffice import find_libreoffice
from groundtune.ingest.sandbox import Sandbox
from groundtune.project import Project
from tests.ingest.extension_package import installed

PACKAGE = """
from groundtune import TextBuilder

class Shouting:
    version = "7"

    def load(self, path):
        builder = TextBuilder()
        builder.paragraph(path.read_text().upper())
        return builder.build()

def register(extensions):
    extensions.parser("shouting", Shouting())
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with installed(tmp_path / "site", PACKAGE):
        yield tmp_path


def none(suffix: str) -> str:
    return ""


def test_the_last_rule_that_matches_decides(site: Path) -> None:
    rules = [(["**/*.md"], "shouting"), (["calm/**"], "groundtune")]
    choose: Callable[[str], ParserChoice] = lambda source: choose_parser(  # noqa: E731
        source, ".md", rules, ocr=False, package_version=none
    )
    assert choose("loud/a.md") == ParserChoice("shouting", "shouting 7")
    assert choose("calm/a.md") == ParserChoice()
    assert choose("calm/a.txt") == ParserChoice()


def test_the_loader_of_a_package_comes_before_the_parsers_of_suffixes() -> None:
    assert choose_parser("a.pdf", ".pdf", [], ocr=True, package_version=lambda suffix: "3") == ParserChoice(version="3")


def test_ocr_reads_scans_only_where_it_may() -> None:
    chosen = choose_parser("a.pdf", ".pdf", [], ocr=True, package_version=none)
    assert chosen.name == "ocr"
    assert chosen.version.startswith("ocr ")
    assert choose_parser("a.pdf", ".pdf", [], ocr=False, package_version=none) == ParserChoice()
    assert choose_parser("a.md", ".md", [], ocr=True, package_version=none) == ParserChoice()


def test_an_unknown_parser_is_a_fault_of_the_project_file(tmp_path: Path) -> None:
    file = tmp_path / "groundtune.toml"
    file.write_text('name = "x"\n[[documents.parsers]]\ninclude = ["*.pdf"]\nparser = "magic"\n')
    with pytest.raises(ConfigError, match=r'unknown parser "magic" \(known: groundtune, libreoffice, markitdown'):
        load_config(file)
    with pytest.raises(MissingError, match='no parser "magic"'):
        find_parser("magic")


async def test_a_parser_of_a_package_reads_in_the_worker(site: Path) -> None:
    (site / "a.md").write_text("hello")
    async with Sandbox(workers=1) as sandbox:
        own, other = await sandbox.load_many([site / "a.md"] * 2, ["", "shouting"])
    assert isinstance(own, list)
    assert isinstance(other, list)
    assert (own[0].text, other[0].text) == ("hello", "HELLO")


def test_another_rule_reads_the_files_again(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs/a.md").write_text("The lease ends in May.")
    (folder / "groundtune.toml").write_text('name = "x"\n[documents]\ninclude = ["docs/**"]\n')
    with Project.open(folder) as project:
        project.ingest()
    rule = '\n[[documents.parsers]]\ninclude = ["**/*.md"]\nparser = "shouting"\n'
    with (folder / "groundtune.toml").open("a") as file:
        file.write(rule)
    with Project.open(folder) as project:
        report = project.ingest()
        assert [file.change for file in report.files] == ["changed"]
        assert [hit.passage.text for hit in project.search("lease")] == ["THE LEASE ENDS IN MAY."]
        assert [file.change for file in project.ingest().files] == ["unchanged"]


def test_a_rule_that_matches_nothing_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The lease ends in May.")
    rule = '[[documents.parsers]]\ninclude = ["**/*.pdf"]\nparser = "ocr"\n'
    (tmp_path / "groundtune.toml").write_text(f'name = "x"\n{rule}')
    with Project.open(tmp_path) as project:
        notes = [note.text for note in project.ingest().rule_notes]
    assert notes == ['groundtune.toml:3: documents.parsers "**/*.pdf" matches no document']


def test_markitdown_gives_passages_with_offsets(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    document = docx.Document()
    document.add_heading("Lease", 1)
    document.add_paragraph("Payment is due within ten days.")
    document.save(str(path))
    (parsed,) = load(path, parser="markitdown")
    (block,) = parsed.blocks
    assert (parsed.text[block.start : block.end], block.heading) == ("Payment is due within ten days.", ("Lease",))


def test_markitdown_refuses_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"no document")
    with pytest.raises(ParseError):
        load(tmp_path / "a.docx", parser="markitdown")


def test_old_formats_are_readable_where_libreoffice_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundtune.ingest.parsers.find_libreoffice", lambda: None)
    assert not is_readable(".doc")
    monkeypatch.setattr("groundtune.ingest.parsers.find_libreoffice", lambda: Path("/opt/soffice"))
    assert is_readable(".doc")


@pytest.mark.slow
@pytest.mark.skipif(find_libreoffice() is None, reason="LibreOffice is not installed")
def test_libreoffice_converts_what_groundtune_then_reads(tmp_path: Path) -> None:
    path = tmp_path / "old.rtf"
    path.write_bytes(rb"{\rtf1\ansi{\b Lease}\par Payment is due within ten days.\par}")
    (parsed,) = load(path, parser="libreoffice")
    assert parsed.text.endswith("Payment is due within ten days.")


@pytest.mark.slow
@pytest.mark.skipif(find_libreoffice() is None, reason="LibreOffice is not installed")
async def test_a_conversion_that_takes_too_long_leaves_no_process(tmp_path: Path) -> None:
    path = tmp_path / "old.rtf"
    path.write_bytes(rb"{\rtf1\ansi " + rb"Payment is due within ten days.\par " * 400_000 + b"}")
    async with Sandbox(workers=1, timeout_seconds=2) as sandbox:
        (outcome,) = await sandbox.load_many([path], ["libreoffice"])
    assert isinstance(outcome, ParseError)
    assert "longer than 2 seconds" in outcome.message
    until = time.monotonic() + 20
    while _is_open_somewhere(path):  # a killed process takes a moment to be gone
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


def _is_open_somewhere(path: Path) -> bool:
    """Whether a process has the path in its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if str(path).encode() in (entry / "cmdline").read_bytes():
                    return True
    return False
