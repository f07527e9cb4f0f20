"""Implement `groundtune models check`: compare a served model with the trained one. Changes no weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.models.artifacts import ModelName
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.types import Artifact

if TYPE_CHECKING:
    from groundtune.tune.lora.serving_check import ServingCheck


def run(
    name: ModelName,
    *,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Address of an OpenAI-compatible server.",
            show_default="check the local generator",
        ),
    ] = None,
    served_as: Annotated[
        str | None,
        typer.Option(
            "--served-as",
            metavar="NAME",
            help="Name of the model on that server.",
            show_default="the server's only model",
        ),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option("--key-env", metavar="VARIABLE", help="Environment variable with the server's API key."),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance", metavar="NATS", help="Largest allowed difference between log-probabilities.", min=0
        ),
    ] = 0.5,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Check that a served model reproduces the trained one.

    Compares prompts, log-probabilities and answers on inputs saved during training. Exit code 1 if they differ.
    """
    from groundtune.project import Project
    from groundtune.tune.artifacts import choose_artifact
    from groundtune.workflows.checking_servers import Server

    with Project.open(folder) as project:
        artifact = choose_artifact(project.artifacts(), name)
        outcome = project.check_model(artifact, Server(url, served_as, key_env, tolerance) if url else None)
    return _show(outcome, json=json)


def _show(outcome: "ServingCheck | Artifact", *, json: bool) -> int:
    """Print the outcome of a check; return 1 if the served model differs from the trained one."""
    if isinstance(outcome, Artifact):
        parity = outcome.details["parity"]
        if json:
            output.print_json({"model": outcome.id, "unusable": outcome.unusable, "parity": parity})
        elif outcome.unusable:
            output.warn(f"not usable: {outcome.unusable}")
        else:
            output.print_line(f"{outcome.id}: the local generator matches the trained model", style="bold")
            output.next_step(
                f"groundtune models check {outcome.id} --url http://localhost:8000/v1", "checks another server"
            )
        return 1 if outcome.unusable else 0
    if json:
        output.print_json({"agrees": not outcome.reasons, "check": outcome})
        return 1 if outcome.reasons else 0
    output.show_table(
        ["row", "prompt tokens", "server", "first token", "server", "nats apart", "answer", "server"],
        [[row.id, *row.prompt_tokens, *row.first, row.difference, *row.text] for row in outcome.rows],
    )
    for note in outcome.notes:
        output.print_note(note)
    for reason in outcome.reasons:
        output.warn(reason)
    verdict = "differs from the trained model" if outcome.reasons else "matches the trained model"
    inputs = format_count(len(outcome.rows), "input")
    tested = f"{inputs}, {outcome.same_words} answered in the same words, tolerance {outcome.tolerance:g} nats"
    output.print_line(f"{outcome.place} {verdict} ({tested})", style="bold")
    return 1 if outcome.reasons else 0
