"""`groundtune use`: what is chosen, pinned, refused, undone, and when a choice is out of date."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune import Project
from groundtune.cli import main
from groundtune.config import load_config
from groundtune.errors import AccessError, GroundtuneError, MissingError, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.types import Done
from tests.test_formats import OLD

COMMENT = "# Which approach answers is decided by the office.\n"


@pytest.fixture
def desk(tmp_path: Path, embedder: BundledEmbedder) -> Iterator[Project]:
    """A project with a trained classifier."""
    folder = shutil.copytree(OLD / "desk", tmp_path / "desk")
    (folder / "state").rename(folder / ".groundtune")
    file = folder / "groundtune.toml"
    file.write_text(file.read_text() + f"\n[answers]\n{COMMENT}strict = false\n")
    with Project.open(folder) as project:
        project.session.embedder = embedder
        yield project


def train_again(project: Project) -> str:
    """Copy the model under a newer id, as a second training would leave it."""
    (old,) = project.artifacts()
    new = old.id[:-1] + "9"
    folder = shutil.copytree(project.workspace.models / old.id, project.workspace.models / new)
    values = json.loads((folder / "artifact.json").read_text())
    (folder / "artifact.json").write_text(json.dumps({**values, "id": new, "made": "2099-01-01T00:00:00+00:00"}))
    return new


def approach_in_file(project: Project) -> str | None:
    return load_config(project.root / "groundtune.toml").answers.approach


def test_the_choice_is_written_and_asked(desk: Project) -> None:
    choice = desk.use("fewshot")
    assert choice.approach == "fewshot" == approach_in_file(desk)
    assert COMMENT in (desk.root / "groundtune.toml").read_text()
    assert desk.ask("The printer does not work").approach == "fewshot"


def test_a_trained_model_is_pinned(desk: Project) -> None:
    (old,) = desk.artifacts()
    pinned = f"tuned@{old.id}"
    assert desk.use("tuned").approach == pinned
    new = train_again(desk)
    assert desk.ask("Reset my password").approach == pinned, "a new training went live by itself"
    assert desk.ask("Reset my password", approach="tuned").approach == "tuned"
    assert desk.use("tuned").approach == f"tuned@{new}"
    assert desk.ask("Reset my password").approach == f"tuned@{new}"
    assert desk.use_back().approach == pinned == approach_in_file(desk)
    assert desk.use_back().approach is None
    assert approach_in_file(desk) is None
    with pytest.raises(MissingError, match="no choice to undo"):
        desk.use_back()


def test_choosing_the_same_again_is_one_choice(desk: Project) -> None:
    desk.use("prompt")
    desk.use("fewshot")
    desk.use("fewshot")
    assert desk.use_back().approach == "prompt"


def test_a_choice_written_by_hand_is_returned_to(desk: Project) -> None:
    file = desk.root / "groundtune.toml"
    file.write_text(file.read_text() + 'approach = "prompt"\n')
    with Project.open(desk.root) as project:
        project.use("fewshot")
        assert project.use_back().approach == "prompt" == approach_in_file(project)


@pytest.mark.parametrize("name", ["", "nothing", "tuned@nothing", "hybrid", "rag"])
def test_an_approach_that_cannot_run_is_not_chosen(desk: Project, name: str) -> None:
    before = (desk.root / "groundtune.toml").read_text()
    with pytest.raises((UsageError, MissingError)):
        desk.use(name)
    assert (desk.root / "groundtune.toml").read_text() == before


def test_the_environment_may_not_contradict_the_choice(desk: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDTUNE_ANSWERS__APPROACH", "prompt")
    with pytest.raises(UsageError, match="the environment sets 'prompt'"):
        desk.use("fewshot")


def test_without_a_comparison_there_is_no_verdict(desk: Project, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(desk.workspace.runs)
    assert main(["use", "--verdict", "-C", str(desk.root)]) == 1
    assert "there is no comparison" in capsys.readouterr().err


def test_a_comparison_of_an_older_version_is_refused(desk: Project) -> None:
    with pytest.raises(GroundtuneError, match=r"recommends no approach|does not say what it was based on"):
        desk.use_verdict()


def test_check_says_when_the_choice_is_out_of_date(desk: Project, capsys: pytest.CaptureFixture[str]) -> None:
    def findings() -> list[str]:
        main(["check", "--json", "-C", str(desk.root)])
        printed = json.loads(capsys.readouterr().out)
        return [finding["message"] for finding in printed["findings"] if finding["place"] == "answers.approach"]

    desk.use("tuned")
    assert findings() == []
    new = train_again(desk)
    assert any("another model has been trained" in message for message in findings())
    desk.use("tuned")
    rows = (desk.root / "examples.jsonl").read_text().splitlines()
    (desk.root / "examples.jsonl").write_text("\n".join(rows[:-1]) + "\n")
    assert any("the examples have changed" in message for message in findings())
    shutil.rmtree(desk.workspace.models / new)
    assert any(new in message for message in findings())


def test_a_pinned_model_is_not_removed(desk: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (artifact,) = desk.artifacts()
    desk.use("tuned")
    assert main(["models", "remove", artifact.id, "-C", str(desk.root)]) == 2
    assert "in use by [answers] approach" in capsys.readouterr().err


def test_a_misspelt_choice_is_found_by_check(desk: Project, capsys: pytest.CaptureFixture[str]) -> None:
    file = desk.root / "groundtune.toml"
    file.write_text(file.read_text() + 'approach = "fewshots"\n')
    assert main(["check", "-C", str(desk.root)]) == 2
    assert 'no approach "fewshots" hint: did you mean "fewshot"?' in " ".join(capsys.readouterr().out.split())


def test_a_misspelt_approach_of_a_comparison_is_found_by_check(
    desk: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.root / "groundtune.toml"
    file.write_text(file.read_text() + '[compare]\napproaches = ["fewshot", "tuned", "promt"]\n')
    assert main(["check", "-C", str(desk.root)]) == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert 'compare.approaches: there is no approach "promt" hint: did you mean "prompt"?' in printed


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[cascade]\napproaches = ["fewshot", "promt"]\n', "cascade.approaches"),
        ('[fallback]\napproaches = ["promt"]\n', "fallback.approaches"),
    ],
)
def test_a_misspelt_part_is_found_by_check(
    desk: Project, table: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.root / "groundtune.toml"
    file.write_text(file.read_text() + table)
    assert main(["check", "-C", str(desk.root)]) == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert f'{key}: there is no approach "promt" hint: did you mean "prompt"?' in printed


def restricted(desk: Project, toml: str = "") -> Project:
    """Let the model have been trained on a document that only hr may read."""
    (artifact,) = desk.artifacts()
    file = desk.workspace.models / artifact.id / "artifact.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "seen_documents": [*values["seen_documents"], "docs/pay.md"]}))
    (desk.root / "docs").mkdir(exist_ok=True)
    (desk.root / "docs/pay.md").write_text("# Pay\n\nThe head earns 9,000.\n")
    project_file = desk.root / "groundtune.toml"
    project_file.write_text(
        project_file.read_text() + '[[documents.access]]\ninclude = ["docs/pay.md"]\ngroups = ["hr"]\n' + toml
    )
    return Project.open(desk.root)


def test_what_was_trained_on_restricted_text_is_refused_to_whoever_may_not_read_it(desk: Project) -> None:
    with restricted(desk) as project:
        for approach in ("tuned", None):
            with pytest.raises(AccessError) as caught:
                project.ask("Reset my password", approach=approach)
            assert "pay.md" not in f"{caught.value.message} {caught.value.hint}"
            assert "hr" not in caught.value.message.split()
            with pytest.raises(AccessError):
                list(project.stream("Reset my password", approach=approach))
            assert project.ask("Reset my password", approach=approach, groups=["hr"]).text
            (*_, done) = project.stream("Reset my password", approach=approach, groups=["hr"])
            assert isinstance(done, Done)
            project.use("tuned")


def test_what_was_trained_on_a_forgotten_document_is_refused_to_all(desk: Project) -> None:
    with restricted(desk) as project:
        project.ingest()
        assert project.ask("Reset my password", approach="tuned", groups=["hr"]).text
        (project.root / "docs/pay.md").unlink()
        project.ingest()
        with pytest.raises(MissingError, match="documents that no longer exist"):
            project.ask("Reset my password", approach="tuned", groups=["hr"])
