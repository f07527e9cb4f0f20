"""Write, find and verify artifacts on disk. An artifact exists only once its artifact.json is written."""

import contextlib
import logging
import posixpath
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.common.files import digest_file, read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import FormatError, GroundtuneError, MissingError
from groundtune.types import Artifact

ARTIFACT = "artifact.json"
ARTIFACT_FORMAT = 1

log = logging.getLogger(__name__)


def write_artifact(folder: Path, artifact: Artifact) -> None:
    """Write artifact.json, the last file of a training run."""
    write_json(folder / ARTIFACT, versioned(asdict(artifact), ARTIFACT_FORMAT))


def read_artifact(folder: Path) -> Artifact:
    """Read artifact.json.

    Raises MissingError when training is incomplete or the file is damaged, FormatError when another version of
    groundtune wrote it.
    """
    path, retrain = folder / ARTIFACT, "train it again: groundtune tune NAME"
    values = check_version(read_json(path), path=path, supported=ARTIFACT_FORMAT, rebuild=retrain)
    try:
        lists = {key: tuple(values[key]) for key in ("seen_examples", "seen_documents")}
        artifact = Artifact(**{**values, **lists})
    except (KeyError, TypeError) as error:
        raise MissingError(f"{path} is damaged: {error}", hint=retrain) from None
    if artifact.id != folder.name:
        raise MissingError(f"{path} belongs to {artifact.id}", hint=f"rename the folder to {artifact.id}")
    return artifact


def list_artifacts(models: Path) -> list[Artifact]:
    """Return all complete, readable artifacts, oldest first."""
    complete = []
    for path in models.glob(f"*/{ARTIFACT}"):
        with contextlib.suppress(MissingError):  # incomplete.py reports these
            complete.append(read_artifact(path.parent))
    return sorted(complete, key=lambda artifact: (artifact.made, artifact.id))


def artifact_signature(models: Path) -> tuple[tuple[str, int], ...]:
    """Return the folder and the time of every artifact: equal as long as none is added, changed or removed."""
    files = sorted(models.glob(f"*/{ARTIFACT}"))
    return tuple((path.parent.name, path.stat().st_mtime_ns) for path in files)


def choose_artifact(candidates: Sequence[Artifact], name: str) -> Artifact:
    """Return the artifact with this id, or the newest of this name. Raises MissingError listing the known ids."""
    matches = [artifact for artifact in candidates if name in (artifact.id, artifact.name)]
    if not matches:
        known = ", ".join(artifact.id for artifact in candidates)
        raise MissingError(f"no model {name!r}", hint=f"known models: {known}" if known else "groundtune tune NAME")
    return matches[-1]


def find_artifact(models: Path, artifact_id: str) -> Artifact:
    """Return the artifact with this id. Raises MissingError."""
    return choose_artifact([artifact for artifact in list_artifacts(models) if artifact.id == artifact_id], artifact_id)


def latest_artifact(models: Path, name: str) -> Artifact | None:
    """Return the newest artifact of a name; log a warning for each of its folders that cannot be read."""
    matches = [artifact for artifact in list_artifacts(models) if artifact.name == name]
    for path in models.glob(f"{name}-*/{ARTIFACT}") if matches else ():
        try:
            read_artifact(path.parent)
        except MissingError as error:
            remedy = f"groundtune models remove {path.parent.name} deletes it"
            if isinstance(error, FormatError):
                remedy = error.hint or remedy
            log.warning("%s; using %s (%s)", error.message, matches[-1].id, remedy)
    return matches[-1] if matches else None


def other_seeds(candidates: Sequence[Artifact], artifact: Artifact, seeds: Sequence[int]) -> list[Artifact]:
    """Return the newest usable artifact of each other of these seeds that differs in its seed alone, by seed.

    candidates: oldest first.
    """
    same = {
        other.recipe.get("seed"): other
        for other in candidates
        if not other.unusable and _conditions(other) == _conditions(artifact)
    }
    return [same[seed] for seed in seeds if seed in same and seed != artifact.recipe.get("seed")]


def _conditions(artifact: Artifact) -> list[object]:
    """Return what a training depends on, besides its seed."""
    recipe = {key: value for key, value in artifact.recipe.items() if key not in ("seed", "max_minutes", "device")}
    return [artifact.name, artifact.kind, artifact.base, artifact.base_digest, artifact.dataset_digest, recipe]


def verify_artifact(folder: Path, artifact: Artifact) -> None:
    """Raise GroundtuneError when a file changed or is missing, or the artifact must not be used."""
    hint = f"groundtune tune {artifact.name}"
    if artifact.unusable:
        raise GroundtuneError(f"{artifact.id} must not be used: {artifact.unusable}", hint=hint)
    if damage := find_damage(folder, artifact):
        kind = GroundtuneError if (folder / damage[0]).is_file() else MissingError
        raise kind(f"{artifact.id}: {' '.join(damage)}", hint=hint)


def find_damage(folder: Path, artifact: Artifact, *, quick: bool = False) -> tuple[str, str] | None:
    """Return the first file that is missing or changed, and what is wrong with it; None when all are intact.

    quick: check only files written after the artifact, as damaged ones are. Raises OSError.
    """
    since = (folder / ARTIFACT).stat().st_mtime_ns if quick else 0
    for name, digest in artifact.files.items():
        path = folder / name
        if not path.is_file():
            return name, "is missing"
        if path.stat().st_mtime_ns >= since and digest_file(path) != digest:
            return name, "has changed since training"
    return None


def seen_in_training(models: Path, source: str) -> list[Artifact]:
    """Return the artifacts trained on a document, on a row of an examples file, or on anything below a folder."""

    source = posixpath.normpath(source)

    def below(path: str) -> bool:
        return source in (path, ".") or path.startswith((f"{source}#", f"{source.rstrip('/')}/"))

    return [
        artifact
        for artifact in list_artifacts(models)
        if any(map(below, artifact.seen_documents)) or source in artifact.seen_examples
    ]


def file_digests(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of an artifact's files by relative path; a folder stands for every file in it."""
    hashes: dict[str, str] = {}
    for name in files:
        path = folder / name
        inner = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        hashes.update({file.relative_to(folder).as_posix(): digest_file(file) for file in inner})
    return hashes


def dataset_digest(folder: Path) -> str:
    """Digest of both splits, as they were written."""
    return digest_file(folder / "train.jsonl")[:32] + digest_file(folder / "validation.jsonl")[:32]
