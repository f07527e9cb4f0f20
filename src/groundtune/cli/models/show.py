"""Implement `groundtune models show`: print everything about one model. Changes nothing."""

from collections.abc import Sequence
from pathlib import Path

from groundtune.cli import output
from groundtune.cli.models.artifacts import ModelName, describe_state, validation_metrics
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.types import Artifact

SHOWN = 5
"""Documents that are printed; --json has all."""


def run(name: ModelName, *, folder: ProjectFolder = Path(), json: Json = False) -> None:
    """Show the settings, metrics and training data of a model."""
    from groundtune.project import Project
    from groundtune.tune.artifacts import choose_artifact

    with Project.open(folder) as project:
        artifact = choose_artifact(project.artifacts(), name)
        _show(artifact, project.workspace.models / artifact.id, json=json)


def _show(artifact: Artifact, folder: Path, *, json: bool) -> None:
    state, damage = describe_state(folder, artifact, quick=False)
    if json:
        output.print_json({**output.jsonable(artifact), "damaged": damage})
        return
    details, settings = artifact.details, artifact.recipe.items()
    cost = "unknown cost" if artifact.usd is None else f"${artifact.usd:,.2f}"
    lines = {
        "kind": f"{artifact.kind} from [tune.{artifact.name}]",
        "base": f"{artifact.base} ({artifact.base_digest})" if artifact.base else "",
        "trained": f"{artifact.made}, in {artifact.seconds:,.0f} s, {cost}",
        "validation": ", ".join(f"{key} {value:.3f}" for key, value in validation_metrics(artifact)) or "not measured",
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
