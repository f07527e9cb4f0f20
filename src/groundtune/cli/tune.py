"""`groundtune tune NAME`: train a table [tune.NAME] of the project file on its examples."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.check import show_preflight
from groundtune.cli.options import AllowTruncation, Json, Project
from groundtune.errors import UsageError

if TYPE_CHECKING:
    from groundtune.project import Project as Opened
    from groundtune.tune.job import Step
    from groundtune.tune.preflight.check import Preflight
    from groundtune.types import Artifact

ENDED_EARLY = {
    "loss": "the loss was no finite number any more; the last good state is kept",
    "patience": "it got no better",
    "max_minutes": "max_minutes were over; the best state is kept",
}


def run(
    name: Annotated[str, typer.Argument(help="Of a table [tune.NAME] of the project file.")],
    *,
    project: Project = Path(),
    look: Annotated[
        bool, typer.Option("--look", help="Say what is wrong and what it takes, and train nothing.")
    ] = False,
    allow_truncation: AllowTruncation = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, though one was cut short or is complete already.")
    ] = False,
    steer: Annotated[
        str | None,
        typer.Option("--job", metavar="ACT", help="Of a hosted training under way: pause, resume or cancel its job."),
    ] = None,
    json: Json = False,
) -> int:
    """Look at the rows, then train on the train split, in a process of its own that goes on when it was killed.

    What was trained already on these rows, settings and base is not trained again.

    Exit code 1 when the rows are refused, or nothing came of it that may be used.
    """
    from groundtune.project import Project as Opened

    with Opened.open(project) as opened:
        if steer is not None:
            return _steer(opened, name, steer, json=json)
        if look:
            found = opened.look(name, allow_truncation=allow_truncation)
            output.emit_json({"preflight": found}) if json else show_preflight(found)
            return 1 if found.errors else 0
        return _train(opened, name, allow_truncation, fresh=fresh, json=json)


def train(
    project: "Opened",
    name: str,
    *,
    allow_truncation: int | None = None,
    fresh: bool = False,
    looked: Callable[["Preflight"], None] = lambda _: None,
) -> "Artifact":
    """Train with a progress bar that shows the loss, and the metrics of the validation split."""
    bars: list[output.Bar] = []
    with ExitStack() as stack:

        def begin(found: "Preflight") -> None:
            looked(found)
            if not found.errors:
                bars.append(stack.enter_context(output.progress(f"training {name}")))

        def step(now: "Step") -> None:
            loss = "" if now.loss is None else f"loss {now.loss:.4f}  "
            figures = "  ".join(f"{key} {value:.3f}" for key, value in now.metrics.items())
            bars[0].update(now.step, total=now.steps or None, now=now.note or loss + figures)

        return project.tune(name, allow_truncation=allow_truncation, fresh=fresh, looked=begin, progress=step)


def _train(project: "Opened", name: str, allow_truncation: int | None, *, fresh: bool, json: bool) -> int:
    from groundtune.tune.job import TuneError

    reports: list[Preflight] = []
    before = [one.id for one in project.artifacts() if one.name == name]

    def looked(found: "Preflight") -> None:
        reports.append(found)
        if not json:
            show_preflight(found)

    try:
        artifact = train(project, name, allow_truncation=allow_truncation, fresh=fresh, looked=looked)
    except TuneError:
        if not reports or not reports[0].errors:
            raise
        if json:
            output.emit_json({"preflight": reports[0]})
        return 1
    except KeyboardInterrupt:
        output.note(f"stopped; groundtune tune {name} goes on from there")
        if project.config.tune[name].kind == "hosted":
            output.note(f"the job goes on at the provider; groundtune tune {name} --job cancel ends it")
        raise
    again = artifact.id in before
    if json:
        output.emit_json({"artifact": artifact, "preflight": reports[0], "trained": not again})
    else:
        show_artifact(artifact)
        if again:
            said = f"nothing was trained: {artifact.id} is of these rows and settings; --fresh trains it again"
            asked = f"; asked is {before[-1]}, which is newer: groundtune models remove {before[-1]}"
            output.note(said + (asked if before[-1] != artifact.id else ""))
        if artifact.unusable:
            output.next_step(f"groundtune models show {artifact.id}")
        elif artifact.kind == "retriever":
            output.next_step(f"groundtune models adopt {artifact.id}", "takes it into use")
        else:
            output.next_step("groundtune compare", "holds it against everything else on the test split")
    return 1 if artifact.unusable else 0


def show_artifact(artifact: "Artifact") -> None:
    """What came of a training, in a few lines."""
    cost = "an unknown price" if artifact.usd is None else f"${artifact.usd:,.2f}"
    output.show(f"{artifact.id}: {artifact.kind} on {artifact.base}, {artifact.seconds:.0f} s, {cost}", style="bold")
    held = [f"{key} {value:.3f}" for key, value in artifact.metrics.items() if not key.startswith("train")]
    if held:
        output.show(f"  on the validation split: {', '.join(held)}")
    if stopped := artifact.details.get("stopped"):
        said = f"stopped before its last epoch: {ENDED_EARLY.get(stopped, stopped)}"
        output.warn(said) if stopped == "loss" else output.show(f"  {said}")
    for said in artifact.details.get("notes", ()):
        output.warn(said)
    if artifact.unusable:
        output.warn(f"not usable: {artifact.unusable}")


def _steer(opened: "Opened", name: str, act: str, *, json: bool) -> int:
    if act not in ("pause", "resume", "cancel"):
        raise UsageError(f"--job {act} is none of pause, resume, cancel", hint=f"groundtune tune {name} --job cancel")
    job, status = opened.steer(name, act)  # type: ignore[arg-type]
    output.emit_json({"job": job, "status": status}) if json else output.show(f"job {job} is {status}")
    return 0
