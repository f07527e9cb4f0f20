"""Loaders of installed packages: used in worker processes, known to every command, part of the index manifest."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune import Project, SyncReport
from groundtune.cli import main
from groundtune.errors import ConfigError, ParseError
from groundtune.extensions import load_extensions
from groundtune.ingest.loaders import MEDIA_TYPES, is_readable, load, package_loader
from groundtune.ingest.sandbox import Sandbox
from groundtune.models.local_embedder import BundledEmbedder
from tests.conftest import MakeProject
from tests.ingest.extension_package import installed

pytestmark = pytest.mark.slow

PACKAGE = """
import sys
from groundtune.errors import ParseError
from groundtune.ingest.parsed import Block, ParsedDocument, TextBuilder

class Notes:
    version = "1"

    def load(self, path):
        builder = TextBuilder()
        builder.paragraph("A note: " + path.read_text())
        return builder.build(title="Note")

def rows(path):
    documents = []
    for number, line in enumerate(path.read_text().splitlines()):
        builder = TextBuilder()
        builder.paragraph(line)
        documents.append(builder.build(row=str(number)))
    return documents

def mails(path):
    return [ParsedDocument("A mail", (Block("paragraph", 0, 6),))]

def bad(path):
    how = path.read_text()
    if how == "raise":
        raise KeyError("no such part")
    if how == "refuse":
        raise ParseError("is a template", skip=True)
    if how == "overlap":
        return ParsedDocument("Some text", (Block("paragraph", 0, 6), Block("paragraph", 3, 9)))
    if how == "surrogate":
        return ParsedDocument("\\ud800", (Block("paragraph", 0, 1),))
    return {"nothing": [], "number": 3, "bytes": ParsedDocument(b"x", (Block("paragraph", 0, 1),)),
            "pairs": [("text", ())], "kind": ParsedDocument("text", (Block("poem", 0, 4),))}[how]

def register(extensions):
    extensions.loader(".note", Notes())
    extensions.loader(".rows", rows)
    extensions.loader(".EML", mails)
    extensions.loader(".bad", bad)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with installed(tmp_path / "site", PACKAGE):
        yield tmp_path / "site/acme_loaders.py"


def test_no_package_adds_nothing() -> None:
    assert not is_readable(".note")
    assert all(map(is_readable, MEDIA_TYPES))


def test_what_packages_read_is_supported(site: Path) -> None:
    assert [suffix for suffix in (".note", ".rows", ".bad", ".eml", ".zip", "") if is_readable(suffix)] == [
        ".note",
        ".rows",
        ".bad",
        ".eml",
    ]
    assert package_loader(".eml") is None, "groundtune reads it itself"
    assert package_loader(".eml", [".eml"]) is not None


async def test_files_are_read_in_the_worker(site: Path, tmp_path: Path) -> None:
    for name, text in {"a.note": "hello", "b.rows": "one\ntwo", "c.md": "# C\n\nText", "d.Note": "upper"}.items():
        (tmp_path / name).write_text(text)
    paths = sorted(path for path in tmp_path.iterdir() if path.is_file())
    async with Sandbox(workers=1) as sandbox:
        note, rows, markdown, upper = await sandbox.load_many(paths)
    assert isinstance(note, list)
    assert (note[0].text, note[0].title) == ("A note: hello", "Note")
    assert isinstance(rows, list)
    assert [(row.text, row.row_id) for row in rows] == [("one", "0"), ("two", "1")]
    assert isinstance(markdown, list)
    assert isinstance(upper, list)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", "cannot be parsed by the loader for .bad files (KeyError: 'no such part')"),
        ("refuse", "is a template"),
        ("overlap", "its parser sent blocks that are empty or out of order"),
        ("surrogate", "its loader returned an invalid document (UnicodeEncodeError"),
        ("nothing", "contains no text"),
        ("number", "did not return a ParsedDocument"),
        ("pairs", "did not return a ParsedDocument"),
        ("bytes", "its loader returned an invalid document (TypeError"),
        ("kind", "its loader returned an invalid document (KeyError: 'poem')"),
    ],
)
async def test_a_loader_that_fails_does_not_stop_the_others(how: str, words: str, site: Path, tmp_path: Path) -> None:
    (tmp_path / "x.bad").write_text(how)
    (tmp_path / "y.note").write_text("hello")
    async with Sandbox(workers=1) as sandbox:
        bad, note = await sandbox.load_many([tmp_path / "x.bad", tmp_path / "y.note"])
    assert isinstance(bad, ParseError)
    assert words in bad.message
    assert bad.skip == (how in ("refuse", "nothing"))
    assert isinstance(note, list)


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.note").write_text("hello")
    with (
        installed(tmp_path / "site", "import no_such_module"),
        pytest.raises(ParseError, match=r"acme_loaders 1\.0 cannot be used: ModuleNotFoundError"),
    ):
        load(tmp_path / "a.note")


def test_every_command_knows_the_suffix_and_a_new_version_reads_files_again(
    site: Path, make_project: MakeProject, embedder: BundledEmbedder, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"docs/a.note": "The shop opens at nine.", "docs/b.eml": "From: x\n\nHi"}
    folder = make_project(files, toml='[documents]\nloaders = [".eml"]\n')
    assert main(["check", "--project", str(folder), "--json"]) == 0
    kinds = {kind["suffix"]: kind["unread"] for kind in json.loads(capsys.readouterr().out)["kinds"]}
    assert kinds == {".note": None, ".eml": None}
    with Project.open(folder) as project:
        project.session.embedder = embedder
        assert {file.row.status for file in project.ingest().files} == {"indexed"}
        assert project.search("opening", k=1)[0].passage.text == "A note: The shop opens at nine."
        mail = project.document("docs/b.eml")
        assert mail is not None
        assert (mail.text, mail.media_type) == ("A mail", "message/rfc822")
        assert project.ingest().embedded == 0
        site.write_text(PACKAGE.replace("A note: ", "Note 2: ").replace('version = "1"', 'version = "2"'))
        load_extensions.cache_clear()
        sys.modules.pop("acme_loaders")
        assert changes(project.ingest()) == {"docs/a.note": "changed", "docs/b.eml": "unchanged"}
        assert project.search("opening", k=1)[0].passage.text == "Note 2: The shop opens at nine."


def test_without_the_package_its_files_are_left_out(
    site: Path, make_project: MakeProject, embedder: BundledEmbedder
) -> None:
    folder = make_project({"a.note": "The shop opens at nine.", "b.eml": "From: x\n\nHi there"})
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        mail = project.document("b.eml")
        assert mail is not None
        assert "Hi there" in mail.text, "only the project file replaces what groundtune reads itself"
        site.write_text("import no_such_module")
        load_extensions.cache_clear()
        sys.modules.pop("acme_loaders")
        rows = {file.row.source: file.row for file in project.ingest().files}
        assert rows["b.eml"].status == "indexed"
        assert rows["a.note"].status == "skipped"
        assert "acme_loaders 1.0 cannot be used: ModuleNotFoundError" in (rows["a.note"].reason or "")
        assert project.document("a.note") is None


def test_an_unknown_loader_is_refused(site: Path, make_project: MakeProject) -> None:
    folder = make_project(toml='[documents]\nloaders = [".pdf"]\n')
    with pytest.raises(ConfigError, match=r'unknown loader "\.pdf" \(known: \.bad, \.eml, \.note, \.rows\)'):
        Project.open(folder)


def changes(report: SyncReport) -> dict[str, str]:
    return {file.row.source: file.change for file in report.files}
