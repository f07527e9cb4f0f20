"""Implement `groundtune tune`: train the model described by a [tune.NAME] table on the project's examples."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from groundtune.cli import output
from groundtune.cli.check import show_preflight
from groundtune.cli.options import AllowTruncation, Json, ProjectFolder

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.tune.job import TrainingStep
    from groundtune.tune.preflight.run import PreflightReport
    from groundtune.types import Artifact

STOP_REASONS = {
    "loss": "the loss became NaN or infinite; the last good checkpoint was kept",
    "patience": "no further improvement",
    "max_minutes": "max_minutes reached; the best checkpoint was kept",
}


def run(
    name: Annotated[str, typer.Argument(help="Name of a [tune.NAME] table in the project file.", metavar="NAME")],
    *,
    look: Annotated[
        bool, typer.Option("--look", help="Show problems and the estimated cost without training.")
    ] = False,
    allow_truncation: AllowTruncation = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start a new training run instead of resuming or reusing a matching one."),
    ] = False,
    job: Annotated[
        Literal["pause", "resume", "cancel"] | None,
        typer.Option("--job", help="Pause, resume or cancel the hosted fine-tuning job instead."),
    ] = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Train the model described by [tune.NAME] in the project file.

    Checks the training data first, then trains on the train split in a separate process. Resumes an interrupted run.
    Reuses a finished run with the same data, settings and base model.

    Exit code 1 if the training data is rejected or the trained model fails its checks.
    """
    from groundtune.project import Project

    with Project.open(folder) as project:
        if job is not None:
            return _control_job(project, name, job, json=json)
        if look:
            preflight = project.preflight(name, allow_truncation=allow_truncation)
            output.print_json({"preflight": preflight}) if json else show_preflight(preflight)
            return 1 if preflight.errors else 0
        return _train(project, name, allow_truncation, fresh=fresh, json=json)


def train(
    project: "Project",
    name: str,
    *,
    allow_truncation: int | None = None,
    fresh: bool = False,
    on_preflight: Callable[["PreflightReport"], None] = lambda _: None,
) -> "Artifact":
    """Train with a progress bar that shows the loss and the validation metrics."""
    bars: list[output.ProgressBar] = []
    with ExitStack() as stack:

        def begin(preflight: "PreflightReport") -> None:
            on_preflight(preflight)
            if not preflight.errors:
                bars.append(stack.enter_context(output.progress(f"training {name}")))

        def step(now: "TrainingStep") -> None:
            loss = "" if now.loss is None else f"loss {now.loss:.4f}"
            bars[0].update(now.step, total=now.steps or None, now=now.note or loss)
            if now.metrics:  # on the validation split
                figures = ", ".join(f"{key} {value:.3f}" for key, value in now.metrics.items())
                output.print_note(f"{now.note or f'epoch {now.epoch:.0f}'}: {figures}")

        return project.tune(name, allow_truncation=allow_truncation, fresh=fresh, on_preflight=begin, progress=step)


def _train(project: "Project", name: str, allow_truncation: int | None, *, fresh: bool, json: bool) -> int:
    from groundtune.build.training_kinds import training_kind
    from groundtune.protocols import ControlsJobs, ReplacesRetriever
    from groundtune.tune.job import TuneError

    reports: list[PreflightReport] = []
    before = [artifact.id for artifact in project.artifacts() if artifact.name == name]

    def show_first(preflight: "PreflightReport") -> None:
        reports.append(preflight)
        if not json:
            show_preflight(preflight)

    try:
        artifact = train(project, name, allow_truncation=allow_truncation, fresh=fresh, on_preflight=show_first)
    except TuneError:
        if not reports or not reports[0].errors:
            raise
        if json:
            output.print_json({"preflight": reports[0]})
        return 1
    except KeyboardInterrupt:
        if isinstance(training_kind(project.config.tune[name].kind), ControlsJobs):
            output.print_note(f"stopped; groundtune tune {name} resumes it")
            output.print_note(f"the job is still running at the provider; groundtune tune {name} --job cancel stops it")
        else:
            stopping = "stopping: the training finishes its step, saves it and ends"
            output.print_note(f"{stopping}; groundtune tune {name} resumes it")
        raise
    reused = artifact.id in before
    made = [other for other in project.artifacts() if other.name == name and other.id not in (*before, artifact.id)]
    if json:
        output.print_json({"artifact": artifact, "others": made, "preflight": reports[0], "trained": not reused})
    else:
        for trained in (*made, artifact):
            show_artifact(trained)
        if reused:
            newest = before[-1]
            same = f"nothing to train: {artifact.id} was trained on the same data with the same settings"
            newer = f"; the newer {newest} is still the one in use; groundtune models remove {newest} deletes it"
            output.print_note(f"{same}; use --fresh to train again" + (newer if newest != artifact.id else ""))
        if artifact.unusable:
            output.next_step(f"groundtune models show {artifact.id}", "shows why it is not usable")
        elif isinstance(training_kind(artifact.kind), ReplacesRetriever):
            output.next_step(f"groundtune models adopt {artifact.id}", "makes it the project's retriever")
        else:
            output.next_step("groundtune compare", "compares it with the other approaches on the test split")
    return 1 if any(trained.unusable for trained in (*made, artifact)) else 0


def show_artifact(artifact: "Artifact") -> None:
    """Print the result of a training run in a few lines."""
    cost = "unknown cost" if artifact.usd is None else f"${artifact.usd:,.2f}"
    base = f" on {artifact.base}" if artifact.base else ""
    output.print_line(f"{artifact.id}: {artifact.kind}{base}, {artifact.seconds:.0f} s, {cost}", style="bold")
    metrics = [f"{key} {value:.3f}" for key, value in artifact.metrics.items() if not key.startswith("train")]
    if metrics:
        output.print_line(f"  on the validation split: {', '.join(metrics)}")
    if stopped := artifact.details.get("stopped"):
        reason = f"stopped early: {STOP_REASONS.get(stopped, stopped)}"
        output.warn(reason) if stopped == "loss" else output.print_line(f"  {reason}")
    for note in artifact.details.get("notes", ()):
        output.warn(note)
    if artifact.unusable:
        output.warn(f"not usable: {artifact.unusable}")


def _control_job(project: "Project", name: str, action: Literal["pause", "resume", "cancel"], *, json: bool) -> int:
    job, status = project.control_job(name, action)
    output.print_json({"job": job, "status": status}) if json else output.print_line(f"job {job} is {status}")
    return 0
