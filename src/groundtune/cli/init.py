"""Implement `groundtune init`: survey a folder and write its project file. Never overwrites one without --force."""

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from groundtune.cli import output
from groundtune.cli.options import Json
from groundtune.common.text import format_count
from groundtune.config import PROJECT_FILE
from groundtune.errors import MissingError, UsageError
from groundtune.project.init import ModelChoice, Survey, choose_model, survey, write_project_file


def run(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the documents.", metavar="FOLDER", show_default="this folder")
    ] = Path(),
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the project.", show_default="name of the folder")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Use a hosted model without asking, if its API key is set.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing project file.")] = False,
    no_network: Annotated[
        bool, typer.Option("--no-network", help="Do not look for model servers or hosted models.")
    ] = False,
    json: Json = False,
) -> None:
    """Create the project file (groundtune.toml) for this folder.

    Finds documents, examples and a model. Uses a model server on this machine if one is running. Uses a hosted model
    only if you agree (or pass --yes), because questions and passages are sent to it.
    """
    if not folder.is_dir():
        raise MissingError(f"no folder {output.printable(folder)}", hint=f"mkdir -p {output.printable(folder)}")
    root = folder.resolve()
    path = root / PROJECT_FILE
    if path.exists() and not force:
        raise UsageError(
            f"{output.printable(path)} already exists", hint="groundtune check, or groundtune init --force"
        )
    if name is not None and not name.strip():
        raise UsageError("the name is empty", hint='groundtune init --name "…"')
    contents = survey(root)
    model = None if no_network else _model(may_ask=not json, agreed=yes)
    title = name or root.name or "documents"
    write_project_file(root, contents, name=title, model=model)
    if json:
        output.print_json(
            {"path": path, "name": title, "documents": contents, "model": model, "next": "groundtune check"}
        )
        return
    _print(path, contents, model)
    command = (
        "groundtune check" if root == Path.cwd() else f"groundtune check -C {shlex.quote(output.printable(folder))}"
    )
    output.next_step(command, "" if contents.kinds else f"after adding documents to {output.printable(root)}")


def _model(*, may_ask: bool, agreed: bool) -> ModelChoice | None:
    """Return a model on this machine, else a hosted one that the user agrees to, else None."""
    from groundtune.models.discover import discover
    from groundtune.models.openai_client import is_local

    endpoints = asyncio.run(discover(os.environ))
    hosted = []
    for endpoint in endpoints:
        model = choose_model(endpoint.kind, endpoint.models)
        if model is None:
            host = urlsplit(endpoint.base_url).hostname
            output.print_note(f"{host} lists no text-generation model; set one under [models.default]")
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
            f"{hosted[0].api_key_env} is set. Use {hosted[0].model} at {host} (questions and passages are sent there)?"
        )
        return hosted[0] if typer.confirm(question, default=False, err=True) else None
    output.print_note(
        f"{hosted[0].api_key_env} is set, but nothing is sent to {host} without your consent; "
        "groundtune init --force --yes uses it."
    )
    return None


def _print(path: Path, contents: Survey, model: ModelChoice | None) -> None:
    kinds = ", ".join(f"{number:,} {suffix[1:]}" for suffix, number in contents.kinds.items())
    output.print_line(f"wrote      {output.printable(path)}")
    output.print_line(
        f"documents  {kinds or 'none that groundtune reads'}" + (f" in {', '.join(contents.include)}" if kinds else "")
    )
    if contents.others:
        number = sum(contents.others.values())
        suffixes = ", ".join(suffix or "no extension" for suffix in list(contents.others)[:5])
        output.print_line(f"           {format_count(number, 'other file')} ({suffixes}) will be skipped")
    output.print_line(f"examples   {', '.join(map(output.printable, contents.examples)) or 'none yet'}")
    output.print_line(f"task       {contents.task}")
    writer = (
        f"{model.model} at {model.base_url}"
        if model
        else "verbatim quotes (no model needed, nothing leaves this machine)"
    )
    output.print_line(f"answers    {writer}")
