"""Which models were trained on a file, a folder, a row or an example, however it is written. Reads only."""

import os
from collections.abc import Iterator
from pathlib import Path

from groundtune.config import Config
from groundtune.errors import UsageError
from groundtune.measure.examples import find_examples, read_examples
from groundtune.tune.artifacts import artifacts, seen
from groundtune.types import Artifact
from groundtune.workspace import Workspace


def trained_on(workspace: Workspace, config: Config, subject: str, *, here: Path) -> list[Artifact]:
    """Oldest first.

    subject: id of an example, FILE#ID, a file, or a folder for all below it; a path is absolute, or as it is written
    in the project's folder, or in the folder `here` inside of that. What was deleted since is found under its name.
    Raises UsageError where neither the project nor a model knows such a thing: then nothing can be said of it.
    """
    root, every = workspace.root, artifacts(workspace.models)
    here = here if here.is_relative_to(root) else root
    files = {path.relative_to(root).as_posix(): path for path in find_examples(root, config.examples.files)}
    found = {one.id for one in every if subject in one.seen_examples}
    known = bool(found)
    there = _there(root, here, subject)
    names = [there] if there else list(_names(root, here, subject))
    found |= {one.id for name in names for one in seen(workspace.models, name)}
    file, sign, row = subject.partition("#")
    if sign and not there:
        own = _there(root, here, file)
        for name in [own] if own else _names(root, here, file):
            rows = {one.id for one in read_examples(files[name])} if name in files else set()
            found |= {
                one.id
                for one in every
                if row in one.seen_examples and (row in rows or (name in one.seen_documents and name not in files))
            }
            known = known or row in rows or (own is not None and name not in files)
    known = known or bool(found) or there is not None
    if not known and not any(one.id == subject for path in files.values() for one in read_examples(path)):
        hint = "a path from here or from the project's folder, FILE#ID, or the id of an example"
        raise UsageError(f"no file, folder or example {subject!r} in {root}, and no model knows one", hint=hint)
    return [one for one in every if one.id in found]


def _there(root: Path, here: Path, text: str) -> str | None:
    """The name in the project of a path that exists; None where there is none. Raises UsageError outside of it."""
    outside = None
    for folder in (here, root):
        path = folder / Path(text).expanduser()
        if text and os.path.lexists(path):
            if name := _name(root, path):
                return name
            outside = path
    if outside:
        raise UsageError(f"{outside} does not lie in the project {root}: no model of it can have seen it")
    return None


def _names(root: Path, here: Path, text: str) -> Iterator[str]:
    """What a path that does not exist would be named in the project."""
    for folder in (root, here):
        if name := _name(root, folder / Path(text).expanduser()):
            yield name


def _name(root: Path, path: Path) -> str | None:
    """Relative to the root, with slashes; "." for the root itself. None outside of it."""
    for one in (Path(os.path.normpath(path)), path.resolve()):
        if one.is_relative_to(root):
            return one.relative_to(root).as_posix()
    return None
