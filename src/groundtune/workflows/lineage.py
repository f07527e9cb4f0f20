"""Find the models that were trained on a file, folder, row or example. Reads only."""

import os
from collections.abc import Iterator
from pathlib import Path

from groundtune.config import Config
from groundtune.dataset.examples import find_examples, read_examples
from groundtune.errors import UsageError
from groundtune.tune.artifacts import list_artifacts, seen_in_training
from groundtune.types import Artifact
from groundtune.workspace import Workspace


def trained_on(workspace: Workspace, config: Config, subject: str, *, here: Path) -> list[Artifact]:
    """Return the artifacts trained on a subject, oldest first.

    subject: id of an example, FILE#ID, a file, or a folder with everything below it. Paths are absolute or relative to
    the project folder or to the folder `here` inside it. Deleted files are found under their former name. Raises
    UsageError if neither the project nor any model knows the subject.
    """
    root, folders = workspace.root, workspace.model_folders
    all_artifacts = [artifact for folder in folders for artifact in list_artifacts(folder)]
    here = here if here.is_relative_to(root) else root
    files = {path.relative_to(root).as_posix(): path for path in find_examples(root, config.examples.files)}
    artifact_ids = {artifact.id for artifact in all_artifacts if subject in artifact.seen_examples}
    known = bool(artifact_ids)
    existing = _existing_name(root, here, subject)
    names = [existing] if existing else list(_possible_names(root, here, subject))
    artifact_ids |= {artifact.id for name in names for folder in folders for artifact in seen_in_training(folder, name)}
    file, sign, row = subject.partition("#")
    if sign and not existing:
        existing_file = _existing_name(root, here, file)
        for name in [existing_file] if existing_file else _possible_names(root, here, file):
            rows = {example.id for example in read_examples(files[name])} if name in files else set()
            artifact_ids |= {
                artifact.id
                for artifact in all_artifacts
                if row in artifact.seen_examples
                and (row in rows or (name in artifact.seen_documents and name not in files))
            }
            known = known or row in rows or (existing_file is not None and name not in files)
    known = known or bool(artifact_ids) or existing is not None
    if not known and not any(example.id == subject for path in files.values() for example in read_examples(path)):
        hint = "give a path relative to here or to the project folder, FILE#ID, or an example id"
        raise UsageError(f"no file, folder or example {subject!r} in {root} or in any model", hint=hint)
    return [artifact for artifact in all_artifacts if artifact.id in artifact_ids]


def _existing_name(root: Path, here: Path, text: str) -> str | None:
    """Return the project-relative name of an existing path, or None. Raises UsageError if it is outside the project."""
    outside = None
    for folder in (here, root):
        path = folder / Path(text).expanduser()
        if text and os.path.lexists(path):
            if name := _relative_name(root, path):
                return name
            outside = path
    if outside:
        raise UsageError(f"{outside} is outside the project {root}, so no model of the project was trained on it")
    return None


def _possible_names(root: Path, here: Path, text: str) -> Iterator[str]:
    """Yield the project-relative names that a missing path could have."""
    for folder in (root, here):
        if name := _relative_name(root, folder / Path(text).expanduser()):
            yield name


def _relative_name(root: Path, path: Path) -> str | None:
    """Return a path relative to the root, with slashes; "." for the root itself, None outside it."""
    for candidate in (Path(os.path.normpath(path)), path.resolve()):
        if candidate.is_relative_to(root):
            return candidate.relative_to(root).as_posix()
    return None
