"""`groundtune models`: what was trained, what it has seen, and how to take it elsewhere."""

from collections.abc import Sequence
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
    from groundtune.tune.leftovers import Leftover
    from groundtune.tune.lora.serving import Check

SHOWN = 5
"""Documents that `show` names."""
NEXT = {
    "adapter": "vllm serve {base} --enable-lora --lora-modules {name}={target}",
    "merged": "vllm serve {target} --served-model-name {name}",
    "ollama": "ollama create {name} -f {target}/Modelfile",
    "gguf": "llama-server --jinja -m {target}",
}
"""What serves each form of export."""
ACTIONS = ("list", "show", "check", "adopt", "remove", "export", "seen")


def run(
    action: Annotated[
        str,
        typer.Argument(help="list, show, check, adopt, remove or export ID, seen FILE, FOLDER, FILE#ID or example."),
    ] = "list",
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
    from groundtune.tune.artifacts import pick
    from groundtune.tune.leftovers import leftovers
    from groundtune.workflows import checking, lineage

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
            trained = lineage.trained_on(opened.workspace, opened.config, subject or "", here=Path.cwd())
            if not trained and not json:
                output.show(f"no model was trained on {subject}")
                return 0
            _list(trained, (), models, json=json)
            return 0
        if action == "list":
            _list(found, leftovers(models), models, json=json)
            return 0
        if action == "adopt":
            return _adopt(opened, subject, wait=wait, json=json)
        if action == "remove":
            return _remove(opened, subject or "", json=json)
        one = pick(found, subject or "")
        if action == "show":
            _show(one, models / one.id, json=json)
        elif action == "check":
            server = checking.Server(url, served_as, key_env, tolerance) if url else None
            return _check(opened.check_model(one, server), json=json)
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


def _list(found: Sequence[Artifact], others: "Sequence[Leftover]", models: Path, *, json: bool) -> None:
    states = [_state(models / one.id, one, quick=True) for one in found]
    if json:
        wrong = {one.id: damage for one, (_, damage) in zip(found, states, strict=True) if damage}
        output.emit_json({"models": found, "incomplete": others, "damaged": wrong})
        return
    if not found and not others:
        output.note("nothing was trained")
        output.next_step("groundtune tune NAME", "trains a table [tune.NAME] of the project file")
        return
    rows: list[list[object]] = []
    for one, (state, _) in zip(found, states, strict=True):
        figures = ", ".join(f"{key} {value:.3f}" for key, value in _held(one)[:3])
        rows.append([one.id, one.kind, one.base, figures, len(one.seen_examples), output.named(state)])
    rows += [[output.named(one.id), one.kind, one.base, None, None, output.named(one.state)] for one in others]
    output.show_table(["id", "kind", "base", "validation", "examples seen", "state"], rows)


def _held(one: Artifact) -> list[tuple[str, float]]:
    """Metrics of the validation split."""
    return [(key, value) for key, value in one.metrics.items() if not key.startswith("train")]


def _state(folder: Path, one: Artifact, *, quick: bool) -> tuple[str, str | None]:
    """In words; and what is damaged, which goes before the rest. quick: of files changed since the training alone."""
    from groundtune.tune.artifacts import damaged

    if damage := " ".join(damaged(folder, one, quick=quick) or ()):
        return f"damaged: {damage} (groundtune tune {one.name})", damage
    if one.unusable:
        return f"not usable: {one.unusable}", None
    said = one.details.get("no_gain")
    return (f"usable, but {said}" if said else "usable"), None


def _show(one: Artifact, folder: Path, *, json: bool) -> None:
    state, damage = _state(folder, one, quick=False)
    if json:
        output.emit_json({**output.jsonable(one), "damaged": damage})
        return
    cost = "an unknown price" if one.usd is None else f"${one.usd:,.2f}"
    lines = {
        "kind": f"{one.kind} of [tune.{one.name}]",
        "base": f"{one.base} ({one.base_digest})",
        "made": f"{one.made}, in {one.seconds:,.0f} s, {cost}",
        "validation": ", ".join(f"{key} {value:.3f}" for key, value in _held(one)) or "not measured",
        "before": ", ".join(f"{key} {value:.3f}" for key, value in (one.details.get("before") or {}).items()),
        "seen": f"{output.count(len(one.seen_examples), 'example')}; {_some(one.seen_documents)}",
        "settings": ", ".join(f"{key} = {value}" for key, value in one.recipe.items() if value not in (None, [], ())),
        "ends": one.details.get("ends") or "",
        "asked as": one.details.get("model") or "",
        "with": ", ".join(f"{name} {number}" for name, number in one.versions.items()),
        "rows": f"{one.dataset_digest[:16]}… (digest)",
        "parity": "; ".join(_legs(one)),
        "folder": str(folder),
        "notes": "; ".join(one.details.get("notes") or ()),
        "state": state,
    }
    output.show(one.id, style="bold")
    for key, text in lines.items():
        if text:
            output.show(f"  {key:<11} {output.named(text)}")
    if probes := one.details.get("probes"):
        output.show(f"  {probes['line']}")
        answers = [[row["about"], row["prompt"], row["before"], row["after"], row["kept"]] for row in probes["answers"]]
        output.show_table(["general prompts", "", "before", "after", "kept"], answers)
    output.note("--json has all of it")


def _legs(one: Artifact) -> list[str]:
    """How far the logits of each form of a causal model are from the trainer's."""
    legs = one.details.get("parity") or {}
    return [
        f"{name} {leg['difference']:.2g} apart, {leg['allowed']:.2g} allowed"
        for name, leg in legs.items()
        if isinstance(leg, dict) and "allowed" in leg
    ]


def _some(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - SHOWN:,} more" if len(sources) > SHOWN else ""
    return (", ".join(sources[:SHOWN]) or "no documents") + more


def _remove(opened: "Opened", name: str, *, json: bool) -> int:
    from groundtune.tune.leftovers import find, remove
    from groundtune.workflows import adopting

    models = opened.workspace.models
    folder = models / find(models, name)
    if key := adopting.in_use(opened.config, folder):
        hint = "groundtune models adopt --back, or adopt another one"
        raise UsageError(f"{folder.name} is in use: {key} in the project file names it", hint=hint)
    with opened.workspace.writer_lock():
        gone = remove(models, folder.name)
    output.emit_json({"removed": gone}) if json else output.show(f"removed {gone}")
    return 0


def _export(folder: Path, one: Artifact, *, to: str, target: Path) -> None:
    from groundtune.tune.export import Form, export

    if one.kind != "lora":
        raise UsageError(f"{one.id} is a {one.kind}: its folder {folder} is all of it, copy that")
    forms = get_args(Form)
    if to not in forms:
        raise UsageError(f"no form {to!r}", hint=f"--to {', '.join(forms)}")
    export(folder, to, target)  # type: ignore[arg-type]
    output.show(f"wrote {target}")
    if to in NEXT:
        output.next_step(NEXT[to].format(target=target, name=one.name, base=one.base))
