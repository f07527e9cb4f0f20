"""`groundtune models`: what was trained, what it has seen, and how to take it elsewhere."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Project
from groundtune.config import PROJECT_FILE
from groundtune.errors import UsageError
from groundtune.types import Artifact

if TYPE_CHECKING:
    from groundtune.ingest.sync import Progress
    from groundtune.project import Project as Opened
    from groundtune.tune.lora.serving import Check

ACTIONS = ("list", "show", "check", "adopt", "remove", "export", "seen")


def run(
    action: Annotated[str, typer.Argument(help="list, show, check, adopt, remove or export ID, seen SOURCE.")] = "list",
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
    back: Annotated[bool, typer.Option("--back", help="Of adopt: undo the last one.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", help="Of adopt: seconds to wait while another process is writing.", min=0)
    ] = 0.0,
    project: Project = Path(),
    json: Json = False,
) -> int:
    """List what was trained, show, check, adopt, remove or export one, or say which were trained on a file.

    adopt makes a tuned retriever the project's own: the index is made anew beside the present one, which serves until
    then, and the project file is changed.
    """
    from groundtune.project import Project as Opened
    from groundtune.tune.artifacts import pick, seen
    from groundtune.workflows import adopting, checking

    if action not in ACTIONS:
        raise UsageError(f"no action {action!r}", hint=f"one of {', '.join(ACTIONS)}")
    if back and (action != "adopt" or subject is not None):
        raise UsageError("--back undoes the last adoption and takes no id", hint="groundtune models adopt --back")
    if action != "list" and subject is None and not back:
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
        if action == "adopt":
            return _adopt(opened, subject, wait=wait, json=json)
        one = pick(found, subject or "")
        if action == "show":
            output.emit_json(one)
        elif action == "check":
            server = checking.Server(url, served_as, key_env, tolerance) if url else None
            return _check(opened.check_model(one, server), json=json)
        elif action == "remove":
            if key := adopting.in_use(opened.config, models / one.id):
                hint = "groundtune models adopt --back, or adopt another one"
                raise UsageError(f"{one.id} is in use: {key} in the project file names it", hint=hint)
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


def _adopt(opened: "Opened", name: str | None, *, wait: float, json: bool) -> int:
    with output.progress("files") as bar:

        def step(now: "Progress") -> None:
            passages = output.count(now.passages, "passage")
            bar.update(now.files_done, total=now.files_total, now=now.current or passages)

        done = opened.adopt(name, wait_seconds=wait, progress=step)
    if json:
        report = done.report and {"passages": done.report.passages, "embedded": done.report.embedded}
        output.emit_json({"table": done.table, "values": done.values, "index": report, "forgotten": done.forgotten})
        return 0
    shown = ", ".join(f"{key} = {value!r}" for key, value in done.values.items() if value is not None)
    output.show(f"{PROJECT_FILE}: [{done.table}] {shown or 'as it comes along'}", style="bold")
    if done.report:
        passages = output.count(done.report.passages, "passage")
        output.show(f"{passages} in the new index, {done.report.embedded:,} embedded, in {done.report.seconds:.1f} s")
    if done.forgotten:
        output.note("The abstention threshold was fitted for the other embedder: groundtune ingest fits it anew.")
    output.next_step("groundtune evaluate", "measures retrieval as it is now; groundtune models adopt --back undoes it")
    return 0


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
