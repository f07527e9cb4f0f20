"""Add a file of examples to `[examples] files` of the project file. Reads no example."""

import json

from groundtune.common.files import write_atomic
from groundtune.config import PROJECT_FILE, load_config
from groundtune.config.toml_edit import set_keys
from groundtune.dataset.examples import find_examples
from groundtune.errors import MissingError, UsageError
from groundtune.workflows.choosing import SETTINGS_SECONDS
from groundtune.workspace import Workspace


def name_examples_file(workspace: Workspace, name: str) -> bool:
    """Have the project use a file of examples, and return whether that changed the project file.

    name: path below the project folder. Raises MissingError when there is no such file, UsageError when the project
    file cannot be edited.
    """
    path, file = workspace.root / name, workspace.root / PROJECT_FILE
    if not path.is_file():
        raise MissingError(f"there is no file {name} in {workspace.root}")
    with workspace.lock("settings", timeout_seconds=SETTINGS_SECONDS):
        text = file.read_bytes().decode("utf-8")
        files = load_config(file, text=text).examples.files
        if path.resolve() in (found.resolve() for found in find_examples(workspace.root, files)):
            return False
        named = [*files, name]
        try:
            edited = set_keys(text, "examples", {"files": named})
        except ValueError as error:
            raise UsageError(
                f"{file.name} cannot be edited automatically: {error}",
                hint=f"edit it by hand: under [examples], write files = {json.dumps(named)}",
            ) from error
        write_atomic(file, edited)
    return True
