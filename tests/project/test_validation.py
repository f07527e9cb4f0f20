import json
from pathlib import Path

from groundtune.project.validation import CheckReport, check_project


def project(root: Path, text: str = "", rows: list[dict[str, object]] | None = None) -> Path:
    (root / "docs").mkdir()
    (root / "docs" / "a.md").write_text("# A")
    (root / "docs" / "b.exe").write_bytes(b"x")
    (root / "drafts").mkdir()
    (root / "drafts" / "d.md").write_text("# D")
    (root / "groundtune.toml").write_text('name = "p"\n' + text)
    if rows is not None:
        (root / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def row(number: int, **more: object) -> dict[str, object]:
    return {"id": f"q{number}", "input": "x", "output": "y", "split": "test", **more}


def findings_of(report: CheckReport) -> set[tuple[str, str, str]]:
    return {(finding.level, finding.place, finding.message) for finding in report.findings}


def test_a_valid_project(tmp_path: Path) -> None:
    rows = [row(1), row(2, output=None), row(3, split="train", evidence=[{"source": "docs/a.md", "quote": "A"}])]
    root = project(tmp_path, '[documents]\ninclude = ["docs/**"]\n[examples]\nfiles = ["examples.jsonl"]', rows)
    report = check_project(root / "docs", environ={})
    assert report.findings == ()
    assert report.exit_code == 0
    assert [(kind.suffix, kind.files, kind.unread is None) for kind in report.kinds] == [
        (".md", 1, True),
        (".exe", 1, False),
    ]
    (file,) = report.examples
    assert (file.examples, file.unanswerable, file.with_evidence) == (3, 1, 1)
    assert file.splits == {"train": 1, "validation": 0, "test": 2}
    assert not (root / ".groundtune").exists()


def test_classify_needs_no_documents(tmp_path: Path) -> None:
    text = 'name = "p"\ntask = "{}"\n{}[examples]\nfiles = ["examples.jsonl"]\n'
    (tmp_path / "examples.jsonl").write_text("\n".join(json.dumps(row(number)) for number in (1, 2)))
    (tmp_path / "groundtune.toml").write_text(text.format("classify", ""))
    assert check_project(tmp_path, environ={}).findings == ()
    named = '[documents]\ninclude = ["docs/**"]\n'
    for task, extra in (("answer", ""), ("classify", named)):
        (tmp_path / "groundtune.toml").write_text(text.format(task, extra))
        (finding,) = check_project(tmp_path, environ={}).findings
        assert (finding.level, finding.place) == ("problem", "documents.include")


def test_prompts_are_read_and_named_approaches_may_have_one(tmp_path: Path) -> None:
    model = '[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "http://localhost:1/v1"\n'
    compared = '[compare]\nprompts = ["full", "ours.txt"]\napproaches = ["rag/short", "rag/ours", "rag/other"]\n'
    root = project(tmp_path, f'{model}{compared}[answers]\napproach = "prompt/example"\n')
    (root / "ours.txt").write_text("Answer.\nSay {passages}.")
    report = check_project(root, environ={})
    assert findings_of(report) == {
        ("problem", "ours.txt:2", "unknown placeholder {passages}"),
        ("problem", "ours.txt:1", "the rules that begin here lack {abstention}"),
        ("problem", "compare.approaches", 'there is no approach "rag/other"'),
    }


def test_prefixes_of_a_known_embedder_are_hinted(tmp_path: Path) -> None:
    embedder = '[embedder]\nkind = "openai"\nmodel = "nomic-embed-text"\nbase_url = "http://localhost:1/v1"\n'
    root = project(tmp_path, f"{embedder}dimension = 768\n")
    (finding,) = check_project(root, environ={}).findings
    assert (finding.level, finding.place) == ("warning", "embedder")
    assert finding.hint is not None
    assert 'passage_prefix = "search_document: ", query_prefix = "search_query: "' in finding.hint
    for line in ('query_prefix = "search_query: "', 'passage_prefix = ""'):
        (root / "groundtune.toml").write_text(f'name = "p"\n{embedder}dimension = 768\n{line}\n')
        assert check_project(root, environ={}).findings == ()
    (root / "groundtune.toml").write_text('name = "p"\n[embedder]\npassage_prefix = "x"\n')
    (finding,) = check_project(root, environ={}).findings
    assert finding.level == "problem"
    assert finding.place.endswith("groundtune.toml:3")
    assert "passage_prefix" in finding.message


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    rows = [
        row(1, output={"a": 1}),
        row(2, evidence=[{"source": "drafts/d.md", "quote": "D"}]),
        row(3, evidence=[{"source": "docs/gone.md", "quote": "D"}]),
    ]
    text = """[documents]
include = ["docs/**", "Docs/*.md", "policies/*.pdf"]
[[documents.access]]
include = ["docs/hr/**"]
groups = ["hr"]
[examples]
files = ["examples.jsonl", "more.jsonl"]
[models.big]
kind = "openai"
model = "m"
[requirements]
residency = "local"
"""
    report = check_project(project(tmp_path, text, rows), environ={})
    assert report.exit_code == 2
    assert findings_of(report) == {
        ("problem", "documents.include", '"Docs/*.md" matches no file'),
        ("problem", "documents.include", '"policies/*.pdf" matches no file'),
        ("problem", "documents.access", '"docs/hr/**" matches no file'),
        ("problem", "examples.jsonl", 'task = "answer" needs text as output; q1 differs'),
        ("problem", "examples.jsonl", "evidence refers to drafts/d.md, which is not among the documents: q2"),
        ("problem", "examples.jsonl", "evidence refers to docs/gone.md, which does not exist: q3"),
        ("problem", "models.big.base_url", "requirements.residency does not allow sending text to api.openai.com"),
        ("missing", "OPENAI_API_KEY", "the API key for models.big is not set"),
        ("missing", "examples.files", "no file matches more.jsonl"),
    }


def test_broken_examples_and_a_broken_project_file(tmp_path: Path) -> None:
    root = project(tmp_path, '[examples]\nfiles = ["*.jsonl"]')
    (root / "one.jsonl").write_text('{"id": "q1"}\n{broken')
    report = check_project(root, environ={})
    assert report.exit_code == 2
    assert [finding.place for finding in report.findings] == ["one.jsonl:1", "one.jsonl:2"]
    (root / "groundtune.toml").write_text("nam = 1")
    report = check_project(root, environ={})
    assert (report.name, report.exit_code) == (None, 2)
    assert [finding.place for finding in report.findings] == ["groundtune.toml", "groundtune.toml:1"]


def test_missing_keys_alone_are_exit_code_3(tmp_path: Path) -> None:
    text = '[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "https://x.example/v1"\napi_key_env = "X_KEY"'
    root = project(tmp_path, text)
    assert check_project(root, environ={}).exit_code == 3
    assert check_project(root, environ={"X_KEY": "k"}).exit_code == 0
