"""What older versions left on disk is read, or refused with the command that replaces it; see docs/architecture.md."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from groundtune import Project
from groundtune.errors import MissingError
from groundtune.ingest.index_generations import REBUILD
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.tune.artifacts import choose_artifact, verify_artifact
from groundtune.tune.job import read_job
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
    assert opened("handbook").fitted.threshold == pytest.approx(0.3676302482246007)


@pytest.mark.parametrize("name", ["handbook", "desk"])
def test_an_old_run_gives_its_verdict(name: str, opened: Open) -> None:
    report, old = opened(name).report(), old_report(name)
    assert (report.n, report.run.complete) == (old["n"], True)
    assert (report.verdict.choice, list(report.verdict.leaders)) == (old["choice"], old["verdict"]["leaders"])
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
