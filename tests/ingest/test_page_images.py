"""A page of a PDF as a picture: drawn from the file as it was indexed, within limits, for those who may read it."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image

from groundtune import ParseError, Project
from groundtune.common.files import digest_file
from groundtune.ingest import page_images
from groundtune.ingest.originals import original_of
from groundtune.ingest.page_images import LONGEST, WIDTH, draw_page
from groundtune.models.local_embedder import BundledEmbedder
from tests.conftest import MakeProject

RULES = '[[documents.access]]\ninclude = ["secret/**"]\ngroups = ["hr"]\n'


def pdf(*pages: str, size: tuple[float, float] = (210, 297)) -> bytes:
    document = FPDF(format=size)
    document.set_font("helvetica", size=14)
    for text in pages:
        document.add_page()
        document.multi_cell(0, text=text)
    return bytes(document.output())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("pdf")
    (folder / "secret").mkdir()
    (folder / "groundtune.toml").write_text(f'name = "test"\n{RULES}')
    (folder / "a.pdf").write_bytes(pdf("The first page is about bikes.", "The second page is about carriage."))
    (folder / "secret/pay.pdf").write_bytes(pdf("Grade nine ends at 91,000 pounds."))
    (folder / "plain.md").write_text("# Plain\n\nNo pages here.\n")
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        yield project


def test_each_page_is_drawn(project: Project) -> None:
    pictures = [project.page_image("a.pdf", page) for page in (1, 2)]
    assert pictures[0] != pictures[1]
    for picture in pictures:
        assert picture is not None
        shown = Image.open(BytesIO(picture)).convert("L")
        assert shown.width == WIDTH
        assert shown.getextrema()[0] < 60, "letters are dark"


def test_pages_of_a_folder_elsewhere_are_drawn(
    tmp_path: Path, make_project: MakeProject, embedder: BundledEmbedder
) -> None:
    elsewhere = tmp_path / "elsewhere/sub"
    elsewhere.mkdir(parents=True)
    (elsewhere / "a#1.pdf").write_bytes(pdf("About bells."))
    folder = make_project(toml='[sources.share]\nkind = "folder"\noptions = { path = "../elsewhere" }\n')
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        source = "share:sub/a%231.pdf"
        assert [row.source for row in project.ledger()] == [source]
        assert project.page_image(source, 1) is not None
        (elsewhere / "a#1.pdf").write_bytes(pdf("About horns."))
        with pytest.raises(ParseError, match="has changed"):
            project.page_image(source, 1)


def test_groups_hold_for_pictures(project: Project) -> None:
    assert project.page_image("secret/pay.pdf", 1, groups=[]) is None
    assert project.page_image("secret/pay.pdf", 1, groups=["hr"]) is not None
    assert project.page_image("secret/pay.pdf", 1) is not None
    assert project.page_image("unknown.pdf", 1) is None


@pytest.mark.parametrize(("source", "page", "why"), [("a.pdf", 3, "no page 3"), ("plain.md", 1, "no pages")])
def test_what_is_not_there_is_said(project: Project, source: str, page: int, why: str) -> None:
    with pytest.raises(ParseError, match=why):
        project.page_image(source, page)


def test_a_file_that_changed_is_said_to_have(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    folder = make_project({"a.pdf": pdf("As it was.")})
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        (row,) = project.ledger()
        content = (folder / "a.pdf").read_bytes()
        (folder / "a.pdf").write_bytes(content)
        assert original_of(row, folder, {}).state == "same", "written again, and the same"
        (folder / "a.pdf").write_bytes(pdf("As it is now."))
        with pytest.raises(ParseError, match="has changed since it was indexed"):
            project.page_image("a.pdf", 1)
        (folder / "a.pdf").unlink()
        with pytest.raises(ParseError, match="is gone"):
            project.page_image("a.pdf", 1)


def drawn(path: Path, page: int = 1) -> bytes:
    return asyncio.run(draw_page(path, page, digest=digest_file(path)))


def test_a_file_is_checked_in_the_process_that_draws_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("Text."))
    with pytest.raises(ParseError, match="has changed"):
        asyncio.run(draw_page(path, 1, digest="0" * 64))


def test_no_side_is_longer_than_the_longest(tmp_path: Path) -> None:
    path = tmp_path / "strip.pdf"
    path.write_bytes(pdf("A strip.", size=(50, 4_000)))
    assert Image.open(BytesIO(drawn(path))).height <= LONGEST


def test_a_damaged_file_and_a_slow_one_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.4 and nothing else")
    with pytest.raises(ParseError, match="damaged, or encrypted"):
        drawn(path)
    monkeypatch.setattr(page_images, "SECONDS", 0.01)
    with pytest.raises(ParseError, match=r"longer than 0\.01 seconds"):
        drawn(path)
