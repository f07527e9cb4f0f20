"""The Project object, as scripts, notebooks and servers use it."""

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune import Hit, Project
from groundtune.build.open_index import OpenIndex
from groundtune.errors import BusyError, GroundtuneError, IndexMismatchError, MissingError, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.workspace import Workspace
from tests.conftest import MakeProject

FILES = {
    "docs/refunds.md": "# Refunds\n\n## Deadline\n\nA refund is paid within 30 days of delivery.\n",
    "docs/travel.md": "# Travel\n\nTrains are booked in second class.\n\nFlights need approval of the head.\n",
    "docs/hr/pay.md": "# Pay\n\nThe salary of the director is 9,000 euros a month.\n",
    "prices.csv": "id,model,price,year\nw1,Wren,3200,2024\nr1,Robin,4100,2025\n",
}
TOML = """
[[documents.access]]
include = ["docs/hr/**"]
groups = ["hr"]
"""


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Path:
    """A project with an index; tests get copies."""
    folder = tmp_path_factory.mktemp("ingested")
    for path, content in {"groundtune.toml": f'name = "test"\n{TOML}', **FILES}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    with Project.open(folder) as opened:
        opened.session.embedder = embedder
        opened.ingest()
    return folder


@pytest.fixture
def project(tmp_path: Path, ingested: Path, embedder: BundledEmbedder) -> Iterator[Project]:
    with Project.open(shutil.copytree(ingested, tmp_path / "project")) as opened:
        opened.session.embedder = embedder
        yield opened


def sources(hits: list[Hit]) -> list[str]:
    return [hit.passage.source for hit in hits]


def test_search_returns_passages_with_their_place(project: Project) -> None:
    hit = project.search("how long until a refund is paid", k=1)[0]
    assert hit.passage.source == "docs/refunds.md"
    assert hit.passage.text == "A refund is paid within 30 days of delivery."
    assert hit.passage.heading == "Refunds > Deadline"
    assert hit.passage.page is None
    assert {"dense", "fused", "bm25"} <= set(hit.stages)
    document = project.document("docs/refunds.md")
    assert document is not None
    assert document.id == hit.passage.document_id
    assert document.text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_k_limits_the_hits(project: Project) -> None:
    assert len(project.search("refund", k=1)) == 1
    assert len(project.search("refund", k=100)) == 4
    assert len(project.search("refund")) <= project.config.retrieval.k
    for k in (0, -1):
        with pytest.raises(UsageError, match="k must be"):
            project.search("refund", k=k)


def test_groups_restrict_the_hits(project: Project) -> None:
    question = "salary of the director"
    assert "docs/hr/pay.md" not in sources(project.search(question, k=100))
    assert "docs/hr/pay.md" not in sources(project.search(question, k=100, groups=["sales"]))
    assert sources(project.search(question, k=1, groups=["sales", "hr"])) == ["docs/hr/pay.md"]


def test_filters_apply_to_metadata(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    pages = {f"{n}.md": f"---\nteam: {team}\n---\n# Rules {n}\n\nThe rule." for n, team in enumerate("aab")}
    with Project.open(make_project(pages)) as project:
        project.session.embedder = embedder
        project.ingest()
        team = {"team": "a"}
        hits = project.search("rule", k=10, filters=team)
        assert hits
        for hit in hits:
            document = project.document(hit.passage.source)
            assert document is not None
            assert document.metadata["team"] == "a"
        assert project.search("rule", k=10, filters={"team": "nobody"}) == []
        assert len(project.search("rule", k=10, filters={"team": ["b", "c"]})) == 1


def test_rows_are_documents(project: Project) -> None:
    row = project.document("prices.csv#w1")
    assert row is not None
    assert "Wren" in row.text
    assert project.document("nothing.md") is None
    hit = project.search("what does the Robin cost", k=1)[0]
    assert hit.passage.source == "prices.csv#r1"
    assert row.text != hit.passage.text


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_an_empty_question_is_an_error(project: Project, question: str) -> None:
    with pytest.raises(UsageError, match="empty") as caught:
        project.search(question)
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match="empty"):
        project.ask(question)


@pytest.mark.parametrize("question", ["?", "the of", "\ud800", "x" * 100_000, "日本語", "'; DROP TABLE"])
def test_odd_questions_are_answered(project: Project, question: str) -> None:
    assert len(project.search(question, k=2)) == 2


def test_without_an_index_it_says_what_to_run(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    with Project.open(folder) as project:
        for call in (lambda: project.search("x"), lambda: project.document("x"), lambda: project.ask("x")):
            with pytest.raises(MissingError, match=r"no index|needs an index") as caught:
                call()
            assert caught.value.exit_code == 3
            assert caught.value.hint == "groundtune ingest"
    assert not (folder / ".groundtune").exists(), "a reader wrote something"


def test_reading_writes_nothing(project: Project) -> None:
    project.search("refund")
    folder = project.workspace.folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if "sqlite-" not in path.name}
    with Project.open(project.root) as reader:
        reader.session.embedder = project.session.embedder
        assert reader.search("refund")
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if "sqlite-" not in path.name}
    assert {path: when for path, when in after.items() if not path.is_dir()} == {
        path: when for path, when in before.items() if not path.is_dir()
    }


def test_an_index_built_with_other_parts_is_refused(project: Project) -> None:
    toml = project.root / "groundtune.toml"
    toml.write_text(toml.read_text() + "\n[passages]\nmax_tokens = 100\n")
    with Project.open(project.root) as changed:
        changed.session.embedder = project.session.embedder
        for call in (lambda: changed.search("refund"), changed.ingest):
            with pytest.raises(IndexMismatchError, match="splitter") as caught:
                call()
            assert caught.value.hint == "groundtune ingest --rebuild"
            assert caught.value.exit_code == 3


async def test_the_async_forms_do_the_same(project: Project) -> None:
    """Called from within a running event loop, as are the sync verbs."""
    hits = await project.asearch("refund", k=2)
    assert hits == project.search("refund", k=2)
    assert await project.adocument("docs/refunds.md") == project.document("docs/refunds.md")
    report = await project.aingest()
    assert {file.change for file in report.files} == {"unchanged"}
    with pytest.raises(UsageError):
        await project.asearch("")
    many = await asyncio.gather(*(project.asearch(f"refund {n}", k=1) for n in range(20)))
    assert all(sources(hits) == ["docs/refunds.md"] for hits in many)


def test_many_threads_can_ask_at_once(project: Project) -> None:
    results: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: results.append(sources(project.search("refund", k=1)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [["docs/refunds.md"]] * 8


def test_a_closed_project_says_so(project: Project) -> None:
    project.search("refund")
    project.close()
    with pytest.raises(RuntimeError, match="closed"):
        project.search("refund")
    project.close()


def test_closing_cancels_running_work(project: Project) -> None:
    """A thread that waits for an answer must not wait forever when another one closes the project."""
    started = threading.Event()
    ended = threading.Event()

    class Slow(BundledEmbedder):
        async def embed_queries(self, texts: object) -> object:  # type: ignore[override]
            started.set()
            await asyncio.sleep(60)
            raise AssertionError

    project.session.embedder = Slow()
    project.session.opened = None

    def ask() -> None:
        try:
            project.search("refund")
        except BaseException:  # noqa: BLE001 (whatever it is, it came back)
            ended.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    assert started.wait(50)
    project.close()
    assert ended.wait(50)


async def test_cancelling_an_awaited_verb_cancels_the_work(project: Project) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    project.session._current_index = endless  # type: ignore[assignment, method-assign]
    search = asyncio.create_task(project.asearch("refund"))
    assert await asyncio.to_thread(begun.wait, 50)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search
    assert await asyncio.to_thread(cancelled.wait, 50)


def test_a_sync_verb_on_the_projects_own_thread_is_an_error_not_a_deadlock(project: Project) -> None:
    (project.root / "docs" / "new.md").write_text("# New\n\nText.")
    with pytest.raises(RuntimeError, match="await its async version"):
        project.ingest(progress=lambda _: project.search("refund") and None)


def test_questions_are_answered_while_waiting_for_the_lock(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, real = threading.Event(), Workspace.writer_lock

    def noticed(self: Workspace, **options: Any) -> Any:
        begun.set()
        return real(self, **options)

    results: list[object] = []
    with project.workspace.writer_lock():
        monkeypatch.setattr(Workspace, "writer_lock", noticed)
        thread = threading.Thread(target=lambda: results.append(project.ingest(wait_seconds=300)))
        thread.start()
        assert begun.wait(50)
        assert project.search("refund", k=1)
        assert thread.is_alive(), "it waits for the lock that is held here"
        with pytest.raises(BusyError):
            project.ingest(wait_seconds=0.1)
    thread.join(50)
    assert len(results) == 1


def test_running_questions_survive_an_index_swap(project: Project) -> None:
    """A rebuild swaps the index while another task is between the search and reading the document."""

    begun = threading.Event()
    closed: list[OpenIndex] = []

    async def slowly() -> str:
        async with project.session.index() as opened:
            begun.set()
            while await project.session.storage.current() == opened.manifest:  # noqa: ASYNC110 (nothing signals it)
                await asyncio.sleep(0.01)
            async with project.session.index() as newer:
                assert newer is not opened
            document = await opened.document_by_source("docs/refunds.md")
            assert document is not None
            closed.append(opened)
            return document.text

    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(project.loop.run(slowly())))
    thread.start()
    assert begun.wait(50)
    project.ingest(rebuild=True)
    thread.join(50)
    assert len(results) == 1
    with pytest.raises(Exception, match="closed"):
        project.loop.run(closed[0].document_by_source("docs/refunds.md"))


def test_ask_answers_with_citations_that_hold(project: Project) -> None:
    pytest.importorskip("groundtune.citations.checking")
    answer = project.ask("Within how many days of delivery is a refund paid?")
    assert answer.approach == "quote-hybrid"
    if answer.status == "answered":
        assert "30 days" in answer.text
        citation = answer.citations[0]
        document = project.document("docs/refunds.md")
        assert document is not None
        assert citation.start is not None
        assert document.text[citation.start : citation.end] == citation.quote


def test_the_nearest_project_above_is_opened(project: Project) -> None:
    with Project.open(project.root / "docs" / "hr") as inner:
        assert inner.root == project.root
    with pytest.raises(MissingError):
        Project.open(project.root.parent.parent / "nowhere")


def test_errors_belong_to_the_error_tree() -> None:
    assert issubclass(IndexMismatchError, MissingError)
    assert issubclass(MissingError, GroundtuneError)
    assert json.dumps(IndexMismatchError("x", hint="y").hint) == '"y"'


def test_a_link_to_the_project_is_the_project(project: Project, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(project.root)
    with Project.open(link) as linked:
        linked.session.embedder = project.session.embedder
        assert sources(linked.search("refund", k=1)) == ["docs/refunds.md"]


def test_a_comparison_of_other_documents_is_another_run(make_project: MakeProject) -> None:
    row = '{"id": "q", "input": "How long may a parcel be returned?", "output": "30 days", "split": "test"}\n'
    files = {"docs/a.md": "A parcel may be returned within 30 days.", "examples.jsonl": row}
    folder = make_project(files, toml='[examples]\nfiles = ["examples.jsonl"]\n')
    with Project.open(folder) as project:
        project.ingest()
        first = project.compare(approaches=["quote-bm25"])
        assert project.compare(approaches=["quote-bm25"]).run.name == first.run.name
    (folder / "docs/a.md").write_text("A parcel may be returned within 14 days.")
    with Project.open(folder) as project:
        project.ingest()
        second = project.compare(approaches=["quote-bm25"])
        assert second.run.name != first.run.name
        assert [report.approaches[0].mean for report in (first, second)] == [1.0, 0.0]
