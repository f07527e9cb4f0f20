"""Implement `groundtune models export`: write a model for other inference servers. Never changes the model."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from groundtune.cli import output
from groundtune.cli.models.artifacts import ModelName
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.files import read_json
from groundtune.errors import UsageError
from groundtune.ingest.forgotten import read_forgotten
from groundtune.types import Artifact

NEXT = {
    "adapter": "vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {name}={target}",
    "merged": "vllm serve {target} --served-model-name {name}",
    "ollama": "ollama create {name} -f {target}/Modelfile",
    "gguf": "llama-server --jinja -m {target}",
}
"""Command that serves each export format."""


def run(
    name: ModelName,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="Format to write: adapter, merged, ollama or gguf.")
    ] = "merged",
    target: Annotated[
        Path | None,
        typer.Option("--target", metavar="PATH", help="File or folder to write.", show_default="ID-FORMAT"),
    ] = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Write a model in a format that inference servers load.

    Only models of kind lora are exported, and none that was trained on a document that was forgotten since. Prints the
    command that serves the result.
    """
    from groundtune.project import Project
    from groundtune.tune.artifacts import choose_artifact

    with Project.open(folder) as project:
        artifact = choose_artifact(project.artifacts(), name)
        if forgotten := read_forgotten(project.workspace).seen_by(artifact):
            keep = f"to keep the model: groundtune forget {forgotten[0]} --keep-models"
            raise UsageError(
                f"{artifact.id} was trained on what was forgotten since: {', '.join(forgotten)}",
                hint=f"groundtune tune {artifact.name}; {keep}",
            )
        written = target or Path(f"{artifact.id}-{to}")
        _export(project.workspace.models / artifact.id, artifact, to=to, target=written)
    serve = serve_command(to, written, name=artifact.name)
    if json:
        output.print_json({"model": artifact.id, "format": to, "target": written, "serve": serve})
        return
    output.print_line(f"wrote {written}")
    output.next_step(serve)


def serve_command(to: str, target: Path, *, name: str) -> str:
    """Return the command that serves an export. name: what the server is to call it."""
    if to != "adapter":
        return NEXT[to].format(target=target, name=name)
    adapter = read_json(target / "adapter_config.json")
    rank = max(8, 1 << (adapter["r"] - 1).bit_length())  # vLLM takes powers of two from 8
    return NEXT[to].format(target=target, name=name, base=adapter["base_model_name_or_path"], rank=rank)


def _export(folder: Path, artifact: Artifact, *, to: str, target: Path) -> None:
    from groundtune.tune.export import ExportFormat, can_export, export

    if not can_export(artifact):
        raise UsageError(
            f"{artifact.id} is a {artifact.kind}, and only lora models are exported", hint=f"copy its folder {folder}"
        )
    formats = get_args(ExportFormat)
    if to not in formats:
        raise UsageError(f"unknown export format {to!r}", hint=f"use --to with one of {', '.join(formats)}")
    export(folder, to, target)  # type: ignore[arg-type]
