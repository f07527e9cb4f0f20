"""`groundtune advise`: from answers, from the folder, and in a terminal."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from groundtune.advice.measured import Measured
from groundtune.cli import main
from groundtune.project.surroundings import look_around

Call = Callable[..., tuple[int, str, str]]
WIKI = {"knowledge_changes": "weekly", "citations": True, "problem": ["facts"], "task": "answer"}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answered(call: Call, folder: Path, answers: dict[str, Any], *more: str) -> dict[str, Any]:
    file = folder.parent / "answers.json"
    file.write_text(json.dumps(answers))
    code, out, err = call("advise", "-C", str(folder), "--answers", str(file), "--json", *more)
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def test_answers_of_a_file_become_advice(call: Call, empty: Path) -> None:
    (empty / "docs").mkdir()
    advice = answered(call, empty / "docs", WIKI)
    assert advice["recommendation"]["approach"] == "rag"
    assert {guide["guide"]: guide["says"] for guide in advice["guides"]} == dict.fromkeys("ABCDE", "rag")
    assert all(guide["because"] and guide["place"] for guide in advice["guides"])
    assert advice["recommendation"]["steps"]
    assert "problem" in advice["recommendation"]["hangs_on"]
    assert any("add facts" in mistake["text"] for mistake in advice["mistakes"])
    assert advice["next"] == ["groundtune init", "groundtune costs"]


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf{"requests_per_month": 1e6, "citations": true}',
        b'{"requests_per_month": 1000000, "problem": null}',
    ],
)
def test_files_as_other_programs_write_them_are_read(call: Call, empty: Path, content: bytes) -> None:
    (empty / "answers.json").write_bytes(content)
    code, out, err = call("advise", "--answers", "answers.json", "--json")
    assert code == 0, err
    assert json.loads(out)["situation"]["requests_per_month"] == 1_000_000


@pytest.mark.parametrize("content", ['{"latency_seconds": Infinity}', '{"citations": true, "citations": false}', "[1]"])
def test_a_file_that_cannot_be_meant_is_refused(call: Call, empty: Path, content: str) -> None:
    (empty / "answers.json").write_text(content)
    code, out, _ = call("advise", "--answers", "answers.json", "--json")
    assert (code, json.loads(out)["error"]["kind"]) == (2, "usage")


def test_an_empty_folder_and_no_answers_still_give_a_page(call: Call, empty: Path) -> None:
    code, out, _ = call("advise")
    assert code == 0
    assert out.startswith("Nothing decides yet. Where to start: retrieve (RAG)")
    assert "What the guides say of your situation" in out
    assert "Measure next" in out


def test_single_answers_go_before_the_file(call: Call, empty: Path) -> None:
    (empty / "docs").mkdir()
    advice = answered(call, empty / "docs", WIKI, "-a", "knowledge_changes=yearly", "-a", "problem=facts,behaviour")
    assert advice["situation"]["knowledge_changes"] == "yearly"
    assert advice["situation"]["problem"] == ["facts", "behaviour"]


def test_what_a_project_says_is_not_asked(call: Call, empty: Path) -> None:
    (empty / "groundtune.toml").write_text(
        'name = "x"\n[documents]\ninclude = ["*.md"]\n[[documents.access]]\ninclude = ["b.md"]\ngroups = ["hr"]\n'
        '[requirements]\ncitations = true\nresidency = "local"\n[costs]\nrequests_per_month = 5000\n'
    )
    (empty / "a.md").write_text("word " * 400)
    code, out, _ = call("advise", "--json")
    assert code == 0
    advice = json.loads(out)
    known = advice["situation"]
    assert (known["citations"], known["residency"], known["access_rules"]) == (True, "local", True)
    assert (known["requests_per_month"], known["document_tokens"], known["task"]) == (5000, 500, "answer")
    assert advice["next"][:2] == ["groundtune ingest", "groundtune examples draft -n 200"]


def test_languages_of_the_texts_and_the_machine_are_seen(call: Call, empty: Path) -> None:
    (empty / "a.md").write_text(
        "Kunden können das Fahrrad innerhalb von dreißig Tagen zurückgeben und ihr Geld erhalten."
    )
    (empty / "b.txt").write_text("Les clients peuvent rendre le vélo dans les trente jours et sont remboursés.")
    (empty / "c.md").write_text(
        "Die Werkstatt ist an jedem Werktag von neun bis achtzehn Uhr für alle Kunden geöffnet."
    )
    seen = look_around(empty).seen
    assert "languages of the texts: german and french" in seen
    assert any(line.startswith("this machine: ") for line in seen)
    (empty / "groundtune.toml").write_text('name = "x"\nlanguage = "french"\n')
    assert 'languages of the texts: german and french, but language = "french" is set' in look_around(empty).seen
    assert "seen here: languages of the texts" in call("advise")[1]


def test_examples_and_their_labels_are_seen(empty: Path) -> None:
    rows = [{"id": str(n), "input": f"text {n}", "output": "red" if n % 5 else "blue"} for n in range(60)]
    (empty / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    around = look_around(empty)
    assert around.answers["labelled_examples"] == 60
    assert around.answers["task"] == "classify"
    assert "60 examples with 2 labels, 12 of the rarest" in around.seen
    assert around.commands == ("groundtune init", "groundtune compare", "groundtune costs")


@pytest.mark.parametrize(("gap", "changes"), [(7, "weekly"), (30, "monthly"), (1, "daily")])
def test_the_history_says_how_often_documents_change(empty: Path, gap: int, changes: str) -> None:
    def git(*words: str, at: datetime | None = None) -> None:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        if at is not None:
            environment |= {"GIT_COMMITTER_DATE": at.isoformat(), "GIT_AUTHOR_DATE": at.isoformat()}
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(("git", *author, *words), cwd=empty, check=True, env=environment, capture_output=True)

    git("init")
    now = datetime.now(UTC)
    for days in range(90, -1, -gap):
        (empty / "a.md").write_text(f"state of {days}")
        git("add", ".")
        git("commit", "-m", "x", at=now - timedelta(days=days))
    assert look_around(empty).answers["knowledge_changes"] == changes


def test_write_makes_a_project_file_that_is_valid(call: Call, empty: Path) -> None:
    (empty / "a.md").write_text("# Returns\n\nWithin 30 days.")
    code, _, err = call(
        "advise", "-a", "citations=true", "-a", "latency_seconds=2.5", "-a", "residency=local", "--write"
    )
    assert code == 0, err
    text = (empty / "groundtune.toml").read_text()
    assert "citations = true\nmax_p95_seconds = 2.5\n" in text
    assert 'residency = "local"' in text
    assert call("ingest")[0] == 0
    code, _, err = call("advise", "-a", "citations=true", "--write")
    assert code == 2
    assert "already exists" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-a", "citations"), "is not QUESTION=VALUE"),
        (("-a", "weather=fine"), "weather: there is no such question"),
        (("-a", "knowledge_changes=hourly"), "knowledge_changes: 'hourly' must be daily, weekly, monthly"),
        (("--answers", "none.json"), "none.json cannot be read"),
        (("--answers", "broken.json"), "broken.json is no JSON"),
    ],
)
def test_bad_input_is_named(call: Call, empty: Path, words: tuple[str, ...], message: str) -> None:
    (empty / "broken.json").write_text("{")
    code, out, err = call("advise", *words)
    assert code in (2, 3)
    assert not out
    assert message in err


def test_answers_are_read_as_people_write_them(call: Call, empty: Path) -> None:
    code, out, err = call("advise", "--json", "-a", "problem=facts", "-a", "citations=yes", "-a", "domain=broad")
    assert code == 0, err
    assert json.loads(out)["situation"] == {"problem": ["facts"], "citations": True, "domain": "broad"}


def test_a_page_names_open_answers_apart_from_given_ones(call: Call, empty: Path) -> None:
    words = ("-a", "problem=behaviour", "-a", "task=write", "-a", "labelled_examples=500")
    _, out, _ = call("advise", *words)
    assert "Recommended: fine-tune, if prompting has been tried and does not suffice" in out
    before, after = out.split("It would change if an answer were different")
    assert "prompting_exhausted: no → prompt" in before
    assert "problem: " in after
    assert "task = write" in before


def test_a_guide_of_the_team_counts(call: Call, empty: Path) -> None:
    (empty / "guides").mkdir()
    (empty / "guides" / "ours.toml").write_text(
        'name = "ours"\ntitle = "How we decide"\nadding_up = "first"\n'
        '[[items]]\nplace = "rule 1"\nwhen = { residency = "local" }\nsays = "fine-tune"\nbecause = "we host it"\n'
    )
    code, out, _ = call("advise", "--json", "-a", "residency=local")
    assert code == 0
    assert json.loads(out)["guides"][-1]["says"] == "fine-tune"


def test_guides_are_judged_by_what_was_measured() -> None:
    measured = Measured(
        "Use hybrid.", ("hybrid:replies", "rag/short"), "run1", ("tuned", "hybrid:replies", "rag/short")
    )
    assert [measured.judge(says) for says in ("rag", "both", "fine-tune", "undecided")] == [
        "right",
        "right",
        "wrong",
        "left it open",
    ]
    assert measured.judge("prompt") == "not measured"
    assert Measured("No approach can be recommended.", (), None, ("rag",)).judge("rag") == "not measured"
    assert measured.judge_all({"A": "rag", "B": "fine-tune", "C": "both"}) == "A, C: right; B: wrong"
