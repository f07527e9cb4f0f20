"""`groundtune models`: what was trained, what it has seen, and how to take it elsewhere."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Project
from groundtune.errors import MissingError, UsageError
from groundtune.types import Artifact

if TYPE_CHECKING:
    from groundtune.tune.lora.serving import Check

ACTIONS = ("list", "show", "check", "remove", "export", "seen")


def run(
    action: Annotated[str, typer.Argument(help="list, show ID, check ID, remove ID, export ID, seen SOURCE.")] = "list",
    subject: Annotated[str | None, typer.Argument(metavar="[ID or SOURCE]")] = None,
    *,
    to: Annotated[str, typer.Option("--to", help="Of export: adapter, merged, ollama or gguf.")] = "merged",
    target: Annotated[Path | None, typer.Option("--target", help="Of export: the folder to write.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Of check: an OpenAI-compatible server, instead of our own generator.")
    ] = None,
    served_as: Annotated[
        str | None, typer.Option("--served-as", help="Of check: its name on that server.", show_default="the only one")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option("--key-env", help="Of check: the variable that holds the server's key.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Of check: nats that two log-probabilities may be apart.", min=0)
    ] = 0.5,
    project: Project = Path(),
    json: Json = False,
) -> int:
    """List what was trained, show, remove or export one, check what serves it, or say which were trained on a file."""
    from groundtune.project import Project as Opened
    from groundtune.tune.artifacts import seen
    from groundtune.workflows import checking

    if action not in ACTIONS:
        raise UsageError(f"no action {action!r}", hint=f"one of {', '.join(ACTIONS)}")
    if action != "list" and subject is None:
        wanted = "a source" if action == "seen" else "an id"
        raise UsageError(f"models {action} needs {wanted}", hint="groundtune models list")
    with Opened.open(project) as opened:
        found = opened.artifacts()
        models = opened.workspace.models
        if action == "seen":
            trained = seen(models, subject or "")
            if not trained and not json:
                output.show(f"no model was trained on {subject}")
                return 0
            _list(trained, json=json)
            return 0
        if action == "list":
            _list(found, json=json)
            return 0
        one = _pick(found, subject or "")
        if action == "show":
            output.emit_json(one)
        elif action == "check":
            server = checking.Server(url, served_as, key_env, tolerance) if url else None
            return _check(opened.check_model(one, server), json=json)
        elif action == "remove":
            with opened.workspace.writer_lock():
                shutil.rmtree(models / one.id)
            output.emit_json({"removed": one.id}) if json else output.show(f"removed {one.id}")
        else:
            _export(models / one.id, one, to=to, target=target or Path(f"{one.id}-{to}"))
    return 0


def _check(found: "Check | Artifact", *, json: bool) -> int:
    """1 where something else is served than what was trained."""
    if isinstance(found, Artifact):
        leg = found.details["parity"]
        if json:
            output.emit_json({"model": found.id, "unusable": found.unusable, "parity": leg})
        elif found.unusable:
            output.warn(f"not usable: {found.unusable}")
        else:
            output.show(f"{found.id}: our own generator gives what was trained", style="bold")
            output.next_step("groundtune models check ID --url http://localhost:8000/v1", "the same of another server")
        return 1 if found.unusable else 0
    if json:
        output.emit_json({"agrees": not found.reasons, "check": found})
        return 1 if found.reasons else 0
    output.show_table(
        ["row", "prompt tokens", "there", "first token", "there", "nats apart", "answer", "there"],
        [[one.id, *one.prompt_tokens, *one.first, one.difference, *one.text] for one in found.rows],
    )
    for note in found.notes:
        output.note(note)
    for reason in found.reasons:
        output.warn(reason)
    said = "gives something else than what was trained" if found.reasons else "gives what was trained"
    output.show(f"{found.place} {said} ({len(found.rows)} inputs, {found.tolerance:g} nats allowed)", style="bold")
    return 1 if found.reasons else 0


def _pick(found: list[Artifact], name: str) -> Artifact:
    """By id, or the newest of a name."""
    own = [one for one in found if name in (one.id, one.name)]
    if not own:
        known = ", ".join(one.id for one in found)
        raise MissingError(f"no model {name!r}", hint=f"there are {known}" if known else "groundtune tune NAME")
    return own[-1]


def _list(found: list[Artifact], *, json: bool) -> None:
    if json:
        output.emit_json({"models": found})
        return
    if not found:
        output.note("nothing was trained")
    rows = []
    for one in found:
        figures = ", ".join(f"{key} {value:.3f}" for key, value in list(one.metrics.items())[:3])
        state = f"not usable: {one.unusable}" if one.unusable else "usable"
        rows.append([one.id, one.kind, one.base, figures, len(one.seen_examples), state])
    output.show_table(["id", "kind", "base", "validation", "examples seen", "state"], rows)


def _export(folder: Path, one: Artifact, *, to: str, target: Path) -> None:
    from groundtune.tune.export import Form, export

    if one.kind != "lora":
        raise UsageError(f"{one.id} is a {one.kind}: its folder {folder} is all of it, copy that")
    forms = get_args(Form)
    if to not in forms:
        raise UsageError(f"no form {to!r}", hint=f"--to {', '.join(forms)}")
    export(folder, to, target)  # type: ignore[arg-type]
    output.show(f"wrote {target}")
