"""`Project.create` turns Python values into a project that works, and never overwrites a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune import Document, Evidence, Example, Project
from groundtune.config import PROJECT_FILE
from groundtune.errors import ConfigError, MissingError, UsageError
from groundtune.ingest.select_files import select_files
from groundtune.models.local_embedder import BundledEmbedder

TEXTS = {
    "refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.",
    "hr/travel": "Trains are booked in second class.",
}


def selected(project: Project) -> list[str]:
    settings = project.config.documents
    found = select_files(
        project.root, include=settings.include, exclude=settings.exclude, leave_out=project.config.examples.files
    )
    return [path.relative_to(project.root).as_posix() for path in found]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_texts_become_a_project_that_answers(tmp_path: Path, embedder: BundledEmbedder) -> None:
    row = {"input": "When is a refund paid?", "output": "within 30 days"}
    with Project.create(tmp_path / "new/shop", documents=TEXTS, examples=[row]) as project:
        project.session.embedder = embedder
        project.ingest()
        answer = project.ask("When is a refund paid?")
        (example,) = project.examples()
    assert project.root == tmp_path / "new/shop"
    assert project.config.name == "shop"
    assert (answer.citations[0].source, answer.citations[0].heading) == ("documents/refunds.md", "Refunds")
    assert (example.input, example.output) == ("When is a refund paid?", "within 30 days")
    with Project.open(tmp_path / "new/shop") as again:
        assert again.config == project.config
        assert again.search("trains", k=1)[0].passage.source == "documents/hr/travel.md"


def test_an_existing_project_is_left_alone(tmp_path: Path) -> None:
    Project.create(tmp_path, documents=TEXTS).close()
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match="already has a project") as caught:
        Project.create(tmp_path, documents={"other.md": "text"})
    assert caught.value.hint is not None
    assert f'Project.open("{tmp_path}")' in caught.value.hint
    assert snapshot(tmp_path) == before


def test_files_in_the_way_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/refunds.md").write_text("mine")
    with pytest.raises(UsageError, match=r"refunds\.md already exists"):
        Project.create(tmp_path, documents=TEXTS)
    with pytest.raises(UsageError, match=r"already holds other files, such as refunds\.md"):
        Project.create(tmp_path, documents={"other.md": "text"})
    (tmp_path / "examples.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"examples\.jsonl already exists"):
        Project.create(tmp_path, examples=[{"input": "a", "output": "b"}])
    assert {Path(path).name for path in snapshot(tmp_path)} == {"refunds.md", "examples.jsonl"}


def test_files_with_the_same_content_are_no_obstacle(tmp_path: Path) -> None:
    Project.create(tmp_path, documents=TEXTS).close()
    (tmp_path / PROJECT_FILE).unlink()
    Project.create(tmp_path, documents=TEXTS).close()


def test_without_documents_the_folder_is_surveyed_as_by_init(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("text")
    (tmp_path / "gold.jsonl").write_text('{"id": "1", "input": "a", "output": "b"}\n')
    with Project.create(tmp_path, name="Handbook") as project:
        assert selected(project) == ["docs/a.md"]
        assert project.config.examples.files == ("gold.jsonl",)
        assert project.config.name == "Handbook"


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("docs", ["docs/a.md", "docs/b.txt"]),
        (Path("docs/a.md"), ["docs/a.md"]),
        ("docs/*.md", ["docs/a.md"]),
        (["docs/*.{md,txt}", "odd [1].md"], ["docs/a.md", "docs/b.txt", "odd [1].md"]),
        ([Path("docs")], ["docs/a.md", "docs/b.txt"]),
        (".", ["docs/a.md", "docs/b.txt", "odd [1].md"]),
    ],
)
def test_paths_and_patterns_are_relative_to_the_folder(tmp_path: Path, documents: Any, expected: list[str]) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("docs/a.md", "docs/b.txt", "odd [1].md"):
        (tmp_path / name).write_text("text")
    with Project.create(tmp_path, documents=documents) as project:
        assert selected(project) == expected


def test_paths_may_also_be_absolute_or_relative_to_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop/docs").mkdir(parents=True)
    (tmp_path / "shop/docs/a.md").write_text("text")
    monkeypatch.chdir(tmp_path)
    for documents in (tmp_path / "shop/docs", f"{tmp_path}/shop/docs/*.md", "shop/docs", "shop/docs/../docs"):
        with Project.create("shop", documents=documents) as project:
            assert selected(project) == ["docs/a.md"], documents
        (tmp_path / "shop" / PROJECT_FILE).unlink()


@pytest.mark.parametrize("documents", ["elsewhere", "../elsewhere", "../elsewhere/*.md", ["elsewhere/a.md"]])
def test_documents_outside_the_folder_are_refused(
    tmp_path: Path, documents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.md").write_text("text")
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path)
    for given in (documents, {"/etc/a.md": "text"}, {"../a.md": "text"}, {".hidden/a.md": "text"}):
        with pytest.raises(UsageError, match=r"outside the project folder|cannot be the name") as caught:
            Project.create("shop", documents=given)
        assert "copy it below that folder" in str(caught.value.hint) or "like" in str(caught.value.hint)
    with pytest.raises(UsageError, match="outside the project folder"):
        Project.create("shop", examples="elsewhere/a.md")
    assert list((tmp_path / "shop").iterdir()) == []


@pytest.mark.parametrize("documents", ["missing", ["missing/a.md"], ["my folder/missing file.pdf"], Path("missing")])
def test_a_path_that_does_not_exist_is_no_text(tmp_path: Path, documents: Any) -> None:
    with pytest.raises(MissingError, match="no file or folder") as caught:
        Project.create(tmp_path, documents=documents)
    assert '{"refunds.md": "…"}' in str(caught.value.hint)


def test_a_list_of_texts_is_numbered(tmp_path: Path) -> None:
    texts = ["A refund is paid within 30 days.", "Is it [1]? 40 km/h at most.", "# One\n"]
    with Project.create(tmp_path, documents=texts) as project:
        assert selected(project) == ["documents/text-1.md", "documents/text-2.md", "documents/text-3.md"]
    assert (tmp_path / "documents/text-1.md").read_text() == texts[0]


def test_documents_keep_title_metadata_and_groups(tmp_path: Path, embedder: BundledEmbedder) -> None:
    documents = [
        Document("", "hr/pay.txt", "The salary is 9,000 euros: a secret.", groups=("hr", "board")),
        Document("", "travel", "Trains, second class.", title='On "trips": rules', metadata={"year": "2026"}),
    ]
    with Project.create(tmp_path, documents=documents) as project:
        project.session.embedder = embedder
        project.ingest()
        pay, travel = project.document("documents/hr/pay.txt"), project.document("documents/travel.md")
        assert pay is not None
        assert travel is not None
        assert (pay.groups, pay.text) == (("board", "hr"), documents[0].text)
        assert (travel.title, travel.metadata, travel.groups) == ('On "trips": rules', {"year": "2026"}, ("*",))
        assert project.search("salary", groups=["sales"])[0].passage.source == "documents/travel.md"


def test_examples_as_rows_objects_or_files(tmp_path: Path) -> None:
    rows = [{"input": "a", "output": "b"}, {"input": "a", "output": None}, {"id": "mine", "input": "c", "output": "d"}]
    with Project.create(tmp_path / "rows", examples=rows) as project:
        first, second, third = project.examples()
        assert second.id == f"{first.id}-2"
        assert (second.output, third.id) == (None, "mine")
    example = Example("1", "a", "b", evidence=(Evidence("documents/a.md", "quote"),), split="train")
    with Project.create(tmp_path / "objects", examples=[example]) as project:
        assert project.examples() == [example]
    (tmp_path / "files").mkdir()
    (tmp_path / "files/gold.jsonl").write_text(json.dumps({"id": "1", "input": "a", "output": "b"}))
    with Project.create(tmp_path / "files", examples="gold.jsonl") as project:
        assert [example.id for example in project.examples()] == ["1"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"examples": [{"input": "a", "outptu": "b"}]}, ConfigError, "outptu"),
        ({"examples": [{"input": "a", "output": object()}]}, UsageError, "not JSON"),
        ({"examples": []}, UsageError, "examples is empty"),
        ({"examples": [{"input": "a"}, 3]}, UsageError, "list of dict, int"),
        ({"documents": []}, UsageError, "documents is empty"),
        ({"documents": {}}, UsageError, "documents is empty"),
        ({"documents": {"a.md": " "}}, UsageError, "is empty"),
        ({"documents": {"a.md": b"x"}}, UsageError, "is a bytes"),
        ({"documents": {"a": "x", "a.md": "y"}}, UsageError, "two documents"),
        ({"documents": [Document("", "a.md", "x"), "b"]}, UsageError, "list of Document, str"),
        ({"task": "sing"}, ConfigError, "sing"),
        ({"model": {"kind": "openai", "modle": "m"}}, ConfigError, "modle"),
        ({"model": {"kind": "openai", "model": None}}, UsageError, "model = None"),
        ({"base_url": "http://localhost:1/v1"}, UsageError, "base_url needs"),
        ({"model": {"kind": "quote"}, "base_url": "http://localhost:1/v1"}, UsageError, "base_url needs"),
        ({"name": "a", "documents": {"a.md": "x"}, "model": "m", "base_url": "nowhere"}, ConfigError, "web address"),
    ],
)
def test_mistakes_leave_nothing_behind(
    tmp_path: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Project.create(tmp_path / "shop", **settings)
    assert list(tmp_path.iterdir()) == []


def test_models_by_name_or_as_a_table(tmp_path: Path) -> None:
    with Project.create(tmp_path / "quotes") as project:
        assert project.config.models["default"].kind == "quote"
    with Project.create(tmp_path / "openai", model="gpt-5-mini") as project:
        model = project.config.models["default"]
        assert (model.kind, model.model, model.api_key_env) == ("openai", "gpt-5-mini", "OPENAI_API_KEY")
    with Project.create(tmp_path / "local", model="qwen3:8b", base_url="http://localhost:11434/v1") as project:
        model = project.config.models["default"]
        assert (model.base_url, model.api_key_env) == ("http://localhost:11434/v1", None)
    table = {"kind": "openai", "model": "m", "temperature": 0.5, "max_output_tokens": 99}
    vectors = {"kind": "openai", "model": "e", "dimension": 64, "base_url": "http://localhost:1/v1"}
    with Project.create(tmp_path / "tables", model=table, embedder=vectors, task="classify") as project:
        model = project.config.models["default"]
        assert (model.temperature, model.max_output_tokens) == (0.5, 99)
        assert (project.config.embedder.dimension, project.config.task) == (64, "classify")
    with Project.create(tmp_path / "embedder", embedder="some/model") as project:
        assert (project.config.embedder.kind, project.config.embedder.model) == ("local", "some/model")
