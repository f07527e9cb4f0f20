import itertools
import json
from pathlib import Path

import pytest

from groundtune.config import load_config
from groundtune.ingest.select_files import select_files
from groundtune.project.init import ModelChoice, choose_model, project_file, recognise_task, survey
from groundtune.types import Task

NAMES = ("plain", 'quo"te \\ and\nline', "émoji 😀 \x7f\x1b")
TASKS: tuple[Task, ...] = ("answer", "classify", "extract", "write")
MODELS = (None, ModelChoice("qwen3:8b", "http://localhost:11434/v1"), ModelChoice("m", "https://x.example/v1", "X_KEY"))
LISTS: tuple[tuple[str, ...], ...] = ((), ("a.jsonl",), tuple(f"folder {n}/[[]x/**/*.{{md,pdf}}" for n in range(9)))


def test_every_combination_loads_as_intended(tmp_path: Path) -> None:
    path = tmp_path / "groundtune.toml"
    for name, task, model, some in itertools.product(NAMES, TASKS, MODELS, LISTS):
        text = project_file(name=name, task=task, include=some or ("**/*",), exclude=some, examples=some, model=model)
        path.write_text(text, encoding="utf-8")
        config = load_config(path, environ={})
        assert (config.name, config.task, config.examples.files, config.documents.exclude) == (name, task, some, some)
        written = config.models["default"]
        assert (written.model, written.base_url) == ((model.model, model.base_url) if model else (None, None))


def test_comments_are_examples_that_load(tmp_path: Path) -> None:
    lines = project_file(name="a").splitlines()
    live = [line[2:] if line.startswith("# ") and (" = " in line or line.startswith("# [")) else line for line in lines]
    path = tmp_path / "groundtune.toml"
    path.write_text("\n".join(live), encoding="utf-8")
    config = load_config(path, environ={})
    assert config.costs.documents_change == "weekly"
    assert config.documents.access[0].groups == ("hr",)


def test_survey(tmp_path: Path) -> None:
    for name in (
        "docs/a.md",
        "docs/b/c.pdf",
        "notes.md",
        "node_modules/x.md",
        "code/a.txt",
        "odd[1]/x.md",
        ".venv/x.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for number in range(9):
        (tmp_path / "code" / f"{number}.py").write_text("x")
    row = {"id": "1", "input": "a", "output": "b", "evidence": [{"source": "docs/a.md", "quote": "x"}]}
    (tmp_path / "gold.jsonl").write_text(json.dumps(row) + "\n{broken")
    (tmp_path / "docs" / "rows.jsonl").write_text('{"text": "a"}\n')
    contents = survey(tmp_path)
    assert contents.kinds == {".md": 3, ".pdf": 1, ".txt": 1, ".jsonl": 1}
    assert contents.others == {".py": 9}
    assert contents.examples == ("gold.jsonl",)
    assert contents.include == ("*.md", "code/**/*.txt", "docs/**/*", "odd[[]1]/**/*")
    assert "node_modules" in contents.exclude
    chosen = select_files(tmp_path, include=contents.include, exclude=contents.exclude, leave_out=contents.examples)
    assert len(list(chosen)) == 6


@pytest.mark.parametrize(
    ("outputs", "task"),
    [
        ([], "answer"),
        (["billing", "bug"] * 20, "classify"),
        ([{"a": 1}] * 3, "extract"),
        (["long " * 200] * 3, "write"),
        ([f"answer {n}" for n in range(40)], "answer"),
    ],
)
def test_recognise_task(outputs: list[object], task: str) -> None:
    assert recognise_task([{"input": "x", "output": output} for output in outputs]) == task


def test_choose_model() -> None:
    models = ["dall-e-3", "gpt-4o", "gpt-5-mini", "gpt-5.4-mini", "text-embedding-3-small"]
    assert choose_model("OpenAI", models) == "gpt-5.4-mini"
    assert choose_model("Ollama", ["bge-m3", "qwen3:8b"]) == "qwen3:8b"
    assert choose_model("Ollama", []) is None
