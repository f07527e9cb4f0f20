"""Implement `groundtune models`: list, inspect, check, adopt, remove and export trained models."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Project
from groundtune.common.text import format_count
from groundtune.config import PROJECT_FILE
from groundtune.errors import UsageError
from groundtune.types import Artifact

if TYPE_CHECKING:
    from groundtune.ingest.sync import SyncProgress
    from groundtune.project import Project as Opened
    from groundtune.tune.incomplete import IncompleteTraining
    from groundtune.tune.lora.serving_check import ServingCheck

SHOWN = 5
"""Documents that `models show` prints."""
NEXT = {
    "adapter": "vllm serve {base} --enable-lora --lora-modules {name}={target}",
    "merged": "vllm serve {target} --served-model-name {name}",
    "ollama": "ollama create {name} -f {target}/Modelfile",
    "gguf": "llama-server --jinja -m {target}",
}
"""Command that serves each export format."""
ACTIONS = ("list", "show", "check", "adopt", "remove", "export", "seen")


_Action = Annotated[
    str,
    typer.Argument(help="Action to perform, as described above.", metavar="ACTION"),
]
_Subject = Annotated[
    str | None,
    typer.Argument(
        help="Id of a model, or NAME of a [tune.NAME] table for its newest; for seen: a file, folder, FILE#ID or "
        "example id.",
        metavar="ID|SOURCE",
    ),
]
_To = Annotated[str, typer.Option("--to", metavar="FORMAT", help="export: adapter, merged, ollama or gguf.")]
_Target = Annotated[
    Path | None,
    typer.Option("--target", metavar="PATH", help="export: file or folder to write.", show_default="ID-FORMAT"),
]
_Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="check: an OpenAI-compatible server, instead of the local generator."),
]
_ServedAs = Annotated[
    str | None,
    typer.Option(
        "--served-as",
        metavar="NAME",
        help="check: name of the model on that server.",
        show_default="the server's only model",
    ),
]
_KeyEnv = Annotated[
    str | None,
    typer.Option("--key-env", metavar="VARIABLE", help="check: environment variable with the server's API key."),
]
_Tolerance = Annotated[
    float,
    typer.Option(
        "--tolerance", metavar="NATS", help="check: largest allowed difference between log-probabilities.", min=0
    ),
]
_Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="adopt: how long to wait if another process is writing to the project.",
        min=0,
    ),
]


def run(
    action: _Action = "list",
    subject: _Subject = None,
    *,
    to: _To = "merged",
    target: _Target = None,
    url: _Url = None,
    served_as: _ServedAs = None,
    key_env: _KeyEnv = None,
    tolerance: _Tolerance = 0.5,
    back: Annotated[bool, typer.Option("--back", help="adopt: undo the last adoption.")] = False,
    wait: _Wait = 0.0,
    project: Project = Path(),
    json: Json = False,
) -> int:
    """List, show, check, adopt, remove or export trained models.

    list: print all models.

    show ID: print the settings, metrics and training data of a model.

    check ID: verify that the served model reproduces the trained one.

    adopt ID: switch the project to a tuned retriever: build a new index, edit the project file, then replace the
    current index.

    remove ID: delete a model.

    export ID: write a model in a format that other inference servers can load.

    seen SOURCE: print the models that were trained on a file, folder, row or example.
    """
    from groundtune.project import Project as Opened
    from groundtune.tune.artifacts import choose_artifact
    from groundtune.tune.incomplete import incomplete_trainings
    from groundtune.workflows import checking_servers, lineage

    if action not in ACTIONS:
        raise UsageError(f"unknown action {action!r}", hint=f"use one of {', '.join(ACTIONS)}")
    if back and (action != "adopt" or subject is not None):
        raise UsageError("--back undoes the last adoption and takes no id", hint="groundtune models adopt --back")
    if action != "list" and subject is None and not back:
        argument = "a source" if action == "seen" else "an id"
        raise UsageError(f"models {action} needs {argument}", hint="groundtune models list")
    with Opened.open(project) as opened:
        all_models = opened.artifacts()
        models = opened.workspace.models
        if action == "seen":
            trained = lineage.trained_on(opened.workspace, opened.config, subject or "", here=Path.cwd())
            if not trained and not json:
                output.print_line(f"no model was trained on {subject}")
                return 0
            _list(trained, (), models, json=json)
            return 0
        if action == "list":
            _list(all_models, incomplete_trainings(models), models, json=json)
            return 0
        if action == "adopt":
            return _adopt(opened, subject, wait=wait, json=json)
        if action == "remove":
            return _remove(opened, subject or "", json=json)
        artifact = choose_artifact(all_models, subject or "")
        if action == "show":
            _show(artifact, models / artifact.id, json=json)
        elif action == "check":
            server = checking_servers.Server(url, served_as, key_env, tolerance) if url else None
            return _check(opened.check_model(artifact, server), json=json)
        else:
            _export(models / artifact.id, artifact, to=to, target=target or Path(f"{artifact.id}-{to}"))
    return 0


def _check(outcome: "ServingCheck | Artifact", *, json: bool) -> int:
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
    tested = f"{format_count(len(outcome.rows), 'input')}, tolerance {outcome.tolerance:g} nats"
    output.print_line(f"{outcome.place} {verdict} ({tested})", style="bold")
    return 1 if outcome.reasons else 0


def _adopt(opened: "Opened", name: str | None, *, wait: float, json: bool) -> int:
    with output.progress("files") as bar:

        def step(now: "SyncProgress") -> None:
            passages = format_count(now.passages_embedded, "passage")
            bar.update(now.files_done, total=now.files_total, now=now.current_source or passages)

        done = opened.adopt(name, wait_seconds=wait, progress=step)
    if json:
        report = done.report and {"passages": done.report.passages, "embedded": done.report.embedded}
        output.print_json({"table": done.table, "values": done.values, "index": report, "forgotten": done.forgotten})
        return 0
    settings = ", ".join(f"{key} = {value!r}" for key, value in done.values.items() if value is not None)
    output.print_line(f"{PROJECT_FILE}: [{done.table}] {settings or 'back to the default'}", style="bold")
    if done.report:
        passages = format_count(done.report.passages, "passage")
        output.print_line(
            f"{passages} in the new index, {done.report.embedded:,} embedded, in {done.report.seconds:.1f} s"
        )
    if done.forgotten:
        output.print_note(
            "The abstention threshold was fitted for the previous embedder; groundtune ingest fits it again."
        )
    output.next_step(
        "groundtune evaluate",
        "measures retrieval with the new model; groundtune models adopt --back undoes the adoption",
    )
    return 0


def _list(
    artifacts: Sequence[Artifact], incomplete: "Sequence[IncompleteTraining]", models: Path, *, json: bool
) -> None:
    states = [_state(models / artifact.id, artifact, quick=True) for artifact in artifacts]
    if json:
        damaged = {artifact.id: damage for artifact, (_, damage) in zip(artifacts, states, strict=True) if damage}
        output.print_json({"models": artifacts, "incomplete": incomplete, "damaged": damaged})
        return
    if not artifacts and not incomplete:
        output.print_note("no trained models")
        output.next_step("groundtune tune NAME", "trains the model described by [tune.NAME] in the project file")
        return
    rows: list[list[object]] = []
    for artifact, (state, _) in zip(artifacts, states, strict=True):
        figures = ", ".join(f"{key} {value:.3f}" for key, value in _validation_metrics(artifact)[:3])
        seen = len(artifact.seen_examples)
        rows.append([artifact.id, artifact.kind, artifact.base, figures, seen, output.printable(state)])
    for training in incomplete:
        state = output.printable(training.state)
        rows.append([output.printable(training.id), training.kind, training.base, None, None, state])
    output.show_table(["id", "kind", "base", "validation", "examples seen", "state"], rows)


def _validation_metrics(artifact: Artifact) -> list[tuple[str, float]]:
    return [(key, value) for key, value in artifact.metrics.items() if not key.startswith("train")]


def _state(folder: Path, artifact: Artifact, *, quick: bool) -> tuple[str, str | None]:
    """Describe the state, including any damage. quick: check only files that changed since training."""
    from groundtune.tune.artifacts import find_damage

    if damage := " ".join(find_damage(folder, artifact, quick=quick) or ()):
        return f"damaged: {damage}; run groundtune tune {artifact.name}", damage
    if artifact.unusable:
        return f"not usable: {artifact.unusable}", None
    no_gain = artifact.details.get("no_gain")
    return (f"usable, but {no_gain}" if no_gain else "usable"), None


def _show(artifact: Artifact, folder: Path, *, json: bool) -> None:
    state, damage = _state(folder, artifact, quick=False)
    if json:
        output.print_json({**output.jsonable(artifact), "damaged": damage})
        return
    details, settings = artifact.details, artifact.recipe.items()
    cost = "unknown cost" if artifact.usd is None else f"${artifact.usd:,.2f}"
    lines = {
        "kind": f"{artifact.kind} from [tune.{artifact.name}]",
        "base": f"{artifact.base} ({artifact.base_digest})",
        "trained": f"{artifact.made}, in {artifact.seconds:,.0f} s, {cost}",
        "validation": ", ".join(f"{key} {value:.3f}" for key, value in _validation_metrics(artifact)) or "not measured",
        "before": ", ".join(f"{key} {value:.3f}" for key, value in (details.get("before") or {}).items()),
        "seen": f"{format_count(len(artifact.seen_examples), 'example')}; {_some(artifact.seen_documents)}",
        "settings": ", ".join(f"{key} = {value}" for key, value in settings if value not in (None, [], ())),
        "ends": details.get("ends") or "",
        "model name": details.get("model") or "",
        "versions": ", ".join(f"{name} {number}" for name, number in artifact.versions.items()),
        "rows": f"{artifact.dataset_digest[:16]}… (digest)",
        "parity": "; ".join(_parity(artifact)),
        "folder": str(folder),
        "notes": "; ".join(details.get("notes") or ()),
        "state": state,
    }
    output.print_line(artifact.id, style="bold")
    for key, text in lines.items():
        if text:
            output.print_line(f"  {key:<11} {output.printable(text)}")
    if probes := artifact.details.get("probes"):
        output.print_line(f"  {probes['line']}")
        answers = [[row["about"], row["prompt"], row["before"], row["after"], row["kept"]] for row in probes["answers"]]
        output.show_table(["general prompts", "", "before", "after", "kept"], answers)
    output.print_note("--json has all details")


def _parity(artifact: Artifact) -> list[str]:
    """Describe how far the logits of each export format of a causal model are from the trainer's."""
    from groundtune.tune.lora.serving_check import GENERATOR, LEG

    formats = artifact.details.get("parity") or {}
    return [
        f"{GENERATOR if name == LEG else name}: difference {check['difference']:.2g}, tolerance {check['allowed']:.2g}"
        for name, check in formats.items()
        if isinstance(check, dict) and "allowed" in check
    ]


def _some(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - SHOWN:,} more" if len(sources) > SHOWN else ""
    return (", ".join(sources[:SHOWN]) or "no documents") + more


def _remove(opened: "Opened", name: str, *, json: bool) -> int:
    from groundtune.tune.incomplete import find_training, remove_training
    from groundtune.workflows import adopting

    models = opened.workspace.models
    folder = models / find_training(models, name)
    if key := adopting.key_naming_model(opened.config, folder):
        hint = "groundtune models adopt --back, or adopt another one"
        raise UsageError(f"{folder.name} is in use by {key} in the project file", hint=hint)
    with opened.workspace.writer_lock():
        removed = remove_training(models, folder.name)
    output.print_json({"removed": removed}) if json else output.print_line(f"removed {removed}")
    return 0


def _export(folder: Path, artifact: Artifact, *, to: str, target: Path) -> None:
    from groundtune.tune.export import ExportFormat, export

    if artifact.kind != "lora":
        raise UsageError(
            f"{artifact.id} is a {artifact.kind}, and only lora models are exported", hint=f"copy its folder {folder}"
        )
    formats = get_args(ExportFormat)
    if to not in formats:
        raise UsageError(f"unknown export format {to!r}", hint=f"use --to with one of {', '.join(formats)}")
    export(folder, to, target)  # type: ignore[arg-type]
    output.print_line(f"wrote {target}")
    if to in NEXT:
        output.next_step(NEXT[to].format(target=target, name=artifact.name, base=artifact.base))
