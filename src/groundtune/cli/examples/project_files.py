"""Find the example files of a project, and define what several commands share. Changes no file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.errors import MissingError

if TYPE_CHECKING:
    from groundtune.config import Config

SHOWN = 30
"""Labels and tags that are printed; --json has all."""
_DEFAULT_FILE = "examples.jsonl"

ExamplesFile = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Examples file.", show_default="the project's example files"),
]


def read_config(folder: Path) -> "Config":
    """Read the project file of a folder. Raises MissingError, ConfigError."""
    from groundtune.config import find_project, load_config

    return load_config(find_project(folder))


def example_files(file: Path | None, folder: Path) -> list[Path]:
    """Return the given file, or else the example files of the project. Raises MissingError."""
    from groundtune.config import find_project
    from groundtune.dataset.examples import find_examples

    if file is not None:
        return [file]
    files = find_examples(find_project(folder).parent, read_config(folder).examples.files)
    if not files:
        hint = "groundtune examples import FILE, then add the file it writes to [examples] files"
        raise MissingError("this project has no examples", hint=hint)
    return files


def named_files(path: Path) -> list[Path] | None:
    """Return the example files of the project that a file is in, or None when it is in no project."""
    from groundtune.config import find_project
    from groundtune.dataset.examples import find_examples

    try:
        root = find_project(path.parent).parent
    except MissingError:
        return None
    return [file.resolve() for file in find_examples(root, read_config(root).examples.files)]


def import_target(folder: Path) -> Path:
    """Return where imported examples go: the first file the project names, else examples.jsonl in its folder."""
    from groundtune.config import find_project

    try:
        root = find_project(folder).parent
    except MissingError:
        return folder / _DEFAULT_FILE
    plain = [name for name in read_config(folder).examples.files if not set(name) & set("*?[{")]
    return root / (plain[0] if plain else _DEFAULT_FILE)


def listed(counts: Mapping[str, int]) -> str:
    """Format counts, without those that are 0: `train 20, test 5`."""
    parts = [f"{name} {number:,}" for name, number in list(counts.items())[:SHOWN] if number]
    more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
    return (", ".join(parts) or "none") + more
