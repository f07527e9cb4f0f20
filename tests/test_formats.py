"""What older versions left on disk is read, or refused with the command that replaces it; see docs/architecture.md."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from groundtune import Project
from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import FORMAT
from groundtune.config.fitted_values import (
    FITTED_FORMAT,
    MOST_RIGHT,
    Fitted,
    FittedThreshold,
    read_fitted,
    write_fitted,
)
from groundtune.errors import FormatError, MissingError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.retrieve.stores.generations import REBUILD
from groundtune.tune.artifacts import choose_artifact, latest_artifact, read_artifact, verify_artifact, write_artifact
from groundtune.tune.incomplete import incomplete_trainings
from groundtune.tune.job import read_job, write_job_file
from groundtune.workflows.adopting import ADOPTED_FORMAT
from groundtune.workspace import FOLDER

OLD = Path(__file__).parent / "data/before_format_versions"
BONUS = "How large is the sales bonus?"
Open = Callable[[str], Project]
Result = TypeVar("Result")


@pytest.fixture
def opened(tmp_path: Path, embedder: BundledEmbedder) -> Iterator[Open]:
    """Copy an old project and open it."""
    projects: list[Project] = []

    def copy(name: str) -> Project:
        folder = shutil.copytree(OLD / name, tmp_path / name)
        (folder / "state").rename(folder / FOLDER)
        project = Project.open(folder)
        project.session.embedder = embedder
        projects.append(project)
        return project

    yield copy
    for project in projects:
        project.close()


def old_report(name: str) -> dict[str, Any]:
    (file,) = (OLD / name / "state/runs").glob("*/report.json")
    report: dict[str, Any] = json.loads(file.read_bytes())
    return report


def rebuild_if_refused(project: Project, work: Callable[[], Result]) -> Result | None:
    """Return what `work` returns; None if the index was refused, with the command that rebuilds it, and rebuilt."""
    try:
        return work()
    except MissingError as error:
        refused = error
    assert refused.hint == REBUILD
    project.ingest(rebuild=True)
    return None


def test_an_old_index_answers_or_names_the_command_that_rebuilds_it(opened: Open) -> None:
    project = opened("handbook")
    rebuild_if_refused(project, lambda: project.search("opening hours"))
    assert "9 in the morning" in project.search("When does the shop open?", k=1)[0].passage.text
    answer = project.ask("What does the Wren cost?")
    assert "3200" in answer.text
    assert answer.citations[0].source == "docs/prices.csv#1"


def test_an_old_index_still_protects_restricted_documents(opened: Open) -> None:
    project = opened("handbook")
    rebuild_if_refused(project, lambda: project.search("opening hours"))
    assert "docs/staff/bonuses.txt" not in {hit.passage.source for hit in project.search(BONUS, k=50)}
    assert project.search(BONUS, k=1, groups=["hr"])[0].passage.source == "docs/staff/bonuses.txt"


def test_ingest_continues_an_old_index_or_names_the_command_that_rebuilds_it(opened: Open) -> None:
    project = opened("handbook")
    (project.root / "docs/returns.md").write_text("# Returns\n\nRefunds are paid within 14 days.\n", encoding="utf-8")
    if report := rebuild_if_refused(project, project.ingest):
        assert report.embedded == 1, "the vectors of unchanged passages are kept"
    assert "14 days" in project.search("When are refunds paid?", k=1)[0].passage.text


def test_values_fitted_earlier_are_used(opened: Open) -> None:
    (threshold,) = opened("handbook").fitted.thresholds.items()
    assert (threshold[0], threshold[1].n) == ("quote-hybrid", 20)
    assert threshold[1].rule == MOST_RIGHT, "the rule had another name"
    assert threshold[1].value == pytest.approx(0.3676302482246007)


@pytest.mark.parametrize("name", ["handbook", "desk"])
def test_an_old_run_gives_its_verdict(name: str, opened: Open) -> None:
    report, old = opened(name).report(), old_report(name)
    assert (report.n, report.run.complete) == (old["n"], True)
    assert report.verdict.choice == old["choice"]
    assert set(report.verdict.leaders) == set(old["verdict"]["leaders"]), (
        "in another order, as seconds have a price now"
    )
    assert {a.name: a.mean for a in report.approaches} == {a["name"]: a["mean"] for a in old["approaches"]}


def test_an_old_artifact_is_known_intact_and_its_job_readable(opened: Open) -> None:
    project = opened("desk")
    artifact = choose_artifact(project.artifacts(), "fast")
    folder = project.workspace.models / artifact.id
    verify_artifact(folder, artifact)
    job = read_job(folder)
    assert (job.name, job.kind, len(job.rows("train"))) == ("fast", "classifier", 18)


@pytest.mark.slow
def test_an_old_artifact_answers(opened: Open) -> None:
    project = opened("desk")
    assert project.ask("please reset the forgot login", approach="tuned").output == "password"
    report = project.compare(approaches=["tuned"])
    assert report.verdict.ruled_out == {}
    assert {summary.name: summary.mean for summary in report.approaches} == {"tuned": 1.0}


# -- formats that this version cannot read -----------------------------------------------------------------------

ADOPTED = {"table": "retrieval", "values": {"reranker": None}, "fitted": {}}
FILES: dict[str, tuple[str, str, Callable[[Project], object]]] = {
    "artifact": ("desk", "models/*/artifact.json", lambda project: read_artifact(the(project, "models/*"))),
    "job": ("desk", "models/*/job.json", lambda project: read_job(the(project, "models/*"))),
    "run": ("handbook", "runs/*/run.json", lambda project: project.report()),
    "fitted": ("handbook", "fitted.json", lambda project: project.fitted),
    "adopted": ("handbook", "adopted.json", lambda project: project.adopt(None)),
}
"""For each file: its project, where it is, and what reads it."""
NEWEST = {"fitted.json": FITTED_FORMAT, "adopted.json": ADOPTED_FORMAT}
"""Newest format of each file that has more than one."""


def the(project: Project, pattern: str) -> Path:
    (path,) = project.workspace.folder.glob(pattern)
    return path


@pytest.fixture(params=FILES)
def versioned_file(request: pytest.FixtureRequest, opened: Open) -> tuple[Path, Callable[[], object]]:
    """One of the files, and a function that reads it."""
    name, pattern, read = FILES[request.param]
    project = opened(name)
    if pattern == "adopted.json":
        write_json(project.workspace.folder / pattern, ADOPTED)
    return the(project, pattern), lambda: read(project)


def refusal(read: Callable[[], object]) -> MissingError:
    with pytest.raises(MissingError) as caught:
        read()
    return caught.value


def test_a_file_of_a_newer_groundtune_is_refused(versioned_file: tuple[Path, Callable[[], object]]) -> None:
    path, read = versioned_file
    write_json(path, {**read_json(path), FORMAT: 7, "a key of the future": 1})
    error = refusal(read)
    assert isinstance(error, FormatError)
    assert (
        error.message
        == f"{path} was written by a newer groundtune (format 7, this one reads up to {NEWEST.get(path.name, 1)})"
    )
    assert (error.hint or "").startswith("pip install --upgrade groundtune, or: ")


@pytest.mark.parametrize("content", ["[]", '"text"', '{"format": "one"}', '{"format": 1, "no such key": 2}', "{"])
def test_a_damaged_file_is_named(content: str, versioned_file: tuple[Path, Callable[[], object]]) -> None:
    path, read = versioned_file
    if path.name == "run.json" and "no such key" in content:
        pytest.skip("run.json may have any keys")
    path.write_text(content)
    error = refusal(read)
    assert not isinstance(error, FormatError)
    assert f"{path} is damaged" in error.message
    assert error.hint


def test_every_file_carries_its_format(opened: Open, tmp_path: Path) -> None:
    project = opened("desk")
    artifact = project.artifacts()[0]
    write_artifact(tmp_path / artifact.id, artifact)
    write_job_file(replace(read_job(the(project, "models/*")), folder=tmp_path / artifact.id))
    threshold = FittedThreshold(0.4, 30, "at most 10% of answers wrong", 0.8, 0.1, "digest")
    fitted = Fitted(dense_weight=0.7, dense_weight_n=30, thresholds={"rag": threshold})
    write_fitted(tmp_path / "fitted.json", fitted)
    for name in (f"{artifact.id}/artifact.json", f"{artifact.id}/job.json", "fitted.json"):
        assert read_json(tmp_path / name)[FORMAT] == NEWEST.get(name, 1)
    assert read_artifact(tmp_path / artifact.id) == artifact
    job = read_job(tmp_path / artifact.id)
    assert replace(job, folder=the(project, "models/*")) == read_job(the(project, "models/*"))
    assert read_fitted(tmp_path / "fitted.json") == fitted


def test_undoing_an_old_adoption_works(opened: Open) -> None:
    project = opened("handbook")
    record = project.workspace.folder / "adopted.json"
    file = project.root / "groundtune.toml"
    file.write_text(file.read_text() + '\n[retrieval]\nreranker = "models/order"\n')
    write_json(record, ADOPTED)
    assert project.adopt(None).tables == {"retrieval": {"reranker": None}}
    assert "reranker" not in file.read_text()
    assert not record.exists()


def test_a_model_of_a_newer_groundtune_is_not_called_damaged(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    project = opened("desk")
    models = project.workspace.models
    for name, version in (("artifact.json", 7), ("job.json", 1)):
        write_json(the(project, f"models/*/{name}"), {**read_json(the(project, f"models/*/{name}")), FORMAT: version})
    (training,) = incomplete_trainings(models)
    assert "unreadable: artifact.json was written by a newer groundtune" in training.state
    assert "models remove" not in training.state
    older = shutil.copytree(OLD / "desk/state/models" / training.id, models / "fast-20200101-000000")
    write_json(older / "artifact.json", {**read_json(older / "artifact.json"), "id": older.name})
    assert (found := latest_artifact(models, "fast")) is not None
    assert found.id == older.name
    assert "pip install --upgrade groundtune" in caplog.text
    write_json(models / training.id / "job.json", {FORMAT: 7})
    assert "unreadable: job.json was written by a newer groundtune" in incomplete_trainings(models)[0].state


@pytest.mark.slow
def test_a_comparison_leaves_runs_of_a_newer_groundtune_alone(opened: Open) -> None:
    project = opened("handbook")
    path = the(project, "runs/*/run.json")
    write_json(path, {**read_json(path), FORMAT: 7})
    before = path.read_bytes()
    rebuild_if_refused(project, lambda: project.search("opening hours"))
    report = project.compare(approaches=["quote-bm25"])
    assert path.read_bytes() == before
    folder = project.workspace.runs / str(report.run.name)
    assert read_json(folder / "run.json")[FORMAT] == 1
    assert project.report().run.name == folder.name
