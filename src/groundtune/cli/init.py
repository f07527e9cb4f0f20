"""`groundtune init`: prints what lies in a folder and writes its project file. Never overwrites one without --force."""

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from groundtune.cli import output
from groundtune.config import PROJECT_FILE
from groundtune.errors import MissingError, UsageError
from groundtune.scaffold import ModelChoice, Survey, choose_model, project_file, survey
from groundtune.workspace import write_atomic


def run(
    folder: Annotated[Path, typer.Argument(help="Where the documents are.", show_default="this folder")] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the project.", show_default="name of the folder")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Use a hosted model that is at hand without asking.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the project file.")] = False,
    no_network: Annotated[bool, typer.Option("--no-network", help="Do not look for model endpoints.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a project file for this folder.

    Finds documents, examples and a model to begin with. A model on this machine is used when one answers; a hosted
    one only after you agreed (or with --yes), since the passages that are found are sent to it.
    """
    if not folder.is_dir():
        raise MissingError(f"no folder {output.named(folder)}", hint=f"mkdir -p {output.named(folder)}")
    root = folder.resolve()
    path = root / PROJECT_FILE
    if path.exists() and not force:
        raise UsageError(f"{output.named(path)} is already there", hint="groundtune check, or groundtune init --force")
    if name is not None and not name.strip():
        raise UsageError("the name is empty", hint='groundtune init --name "…"')
    found = survey(root)
    model = None if no_network else _model(may_ask=not as_json, agreed=yes)
    title = name or root.name or "documents"
    text = project_file(
        name=title,
        task=found.task,
        include=found.include,
        exclude=found.exclude,
        examples=found.examples,
        model=model,
    )
    try:
        write_atomic(path, text)
    except OSError as error:
        raise MissingError(f"cannot write {output.named(path)}: {(error.strerror or str(error)).lower()}") from error
    if as_json:
        output.emit_json({"path": path, "name": title, "documents": found, "model": model, "next": "groundtune check"})
        return
    _print(path, found, model)
    command = "groundtune check" if root == Path.cwd() else f"groundtune check {shlex.quote(output.named(folder))}"
    output.next_step(command, "" if found.kinds else f"after putting documents into {output.named(root)}")


def _model(*, may_ask: bool, agreed: bool) -> ModelChoice | None:
    """A model on this machine, else a hosted one that the user agrees to, else None."""
    from groundtune.models.discover import discover
    from groundtune.openai_client import is_local

    endpoints = asyncio.run(discover(os.environ))
    hosted = []
    for endpoint in endpoints:
        model = choose_model(endpoint.kind, endpoint.models)
        if model is None:
            host = urlsplit(endpoint.base_url).hostname
            output.note(f"{host} did not list a model that writes text; name one under [models.default]")
            continue
        choice = ModelChoice(model, endpoint.base_url, endpoint.api_key_env)
        if is_local(endpoint.base_url):
            return choice
        hosted.append(choice)
    if not hosted:
        return None
    host = urlsplit(hosted[0].base_url).hostname
    if agreed:
        return hosted[0]
    if may_ask and sys.stdin.isatty() and sys.stderr.isatty():
        question = (
            f"{hosted[0].api_key_env} is set. Let {hosted[0].model} at {host} write answers (passages are sent there)?"
        )
        return hosted[0] if typer.confirm(question, default=False, err=True) else None
    output.note(f"{hosted[0].api_key_env} is set, but nothing is sent to {host} unasked; --force --yes writes it in.")
    return None


def _print(path: Path, found: Survey, model: ModelChoice | None) -> None:
    kinds = ", ".join(f"{number:,} {suffix[1:]}" for suffix, number in found.kinds.items())
    output.show(f"wrote      {output.named(path)}")
    output.show(
        f"documents  {kinds or 'none that groundtune reads'}" + (f" in {', '.join(found.include)}" if kinds else "")
    )
    if found.others:
        number = sum(found.others.values())
        endings = ", ".join(suffix or "no ending" for suffix in list(found.others)[:5])
        output.show(f"           {output.count(number, 'other file')} ({endings}) will not be read")
    output.show(f"examples   {', '.join(map(output.named, found.examples)) or 'none yet'}")
    output.show(f"task       {found.task}")
    writer = (
        f"{model.model} at {model.base_url}"
        if model
        else "verbatim quotes (no model is needed, nothing is sent anywhere)"
    )
    output.show(f"answers    {writer}")
