"""What trainings came to, on disk. An artifact is there when its file is, and is checked before it is loaded."""

import contextlib
import json
import logging
import posixpath
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.errors import GroundtuneError, MissingError
from groundtune.types import Artifact
from groundtune.workspace import digest_file, read_json, write_json

ARTIFACT = "artifact.json"

log = logging.getLogger(__name__)


def write_artifact(folder: Path, artifact: Artifact) -> None:
    """The last file of a training."""
    write_json(folder / ARTIFACT, asdict(artifact))


def read_artifact(folder: Path) -> Artifact:
    """Raises MissingError when the training is not complete."""
    values = read_json(folder / ARTIFACT)
    try:
        lists = {key: tuple(values[key]) for key in ("seen_examples", "seen_documents")}
        artifact = Artifact(**{**values, **lists})
    except (KeyError, TypeError) as error:
        raise MissingError(
            f"{folder / ARTIFACT} is damaged: {error}", hint="groundtune tune NAME makes it anew"
        ) from None
    if artifact.id != folder.name:
        raise MissingError(f"{folder / ARTIFACT} says that it is {artifact.id}", hint=f"name the folder {artifact.id}")
    return artifact


def artifacts(models: Path) -> list[Artifact]:
    """All complete ones that can be read, oldest first."""
    found = []
    for path in models.glob(f"*/{ARTIFACT}"):
        with contextlib.suppress(MissingError):  # leftovers.py tells of these
            found.append(read_artifact(path.parent))
    return sorted(found, key=lambda one: (one.made, one.id))


def pick(found: Sequence[Artifact], name: str) -> Artifact:
    """By id, or the newest of a name. Raises MissingError with those that are there."""
    own = [one for one in found if name in (one.id, one.name)]
    if not own:
        known = ", ".join(one.id for one in found)
        raise MissingError(f"no model {name!r}", hint=f"there are {known}" if known else "groundtune tune NAME")
    return own[-1]


def latest(models: Path, name: str) -> Artifact | None:
    """The newest of a name; one of its folders that cannot be read is said in the log."""
    own = [one for one in artifacts(models) if one.name == name]
    for path in models.glob(f"{name}-*/{ARTIFACT}") if own else ():
        try:
            read_artifact(path.parent)
        except MissingError as error:
            log.warning("%s; groundtune models remove %s; asked is %s", error.message, path.parent.name, own[-1].id)
    return own[-1] if own else None


def verify(folder: Path, artifact: Artifact) -> None:
    """Raises GroundtuneError when a file is not the one that was trained, or the artifact must not be used."""
    hint = f"groundtune tune {artifact.name}"
    if artifact.unusable:
        raise GroundtuneError(f"{artifact.id} must not be used: {artifact.unusable}", hint=hint)
    if damage := damaged(folder, artifact):
        kind = GroundtuneError if (folder / damage[0]).is_file() else MissingError
        raise kind(f"{artifact.id}: {' '.join(damage)}", hint=hint)


def damaged(folder: Path, artifact: Artifact, *, quick: bool = False) -> tuple[str, str] | None:
    """The first file that is not as it was trained, and what is wrong with it; None where all are.

    quick: looks only at files that were written after the artifact was, as those of a damage are. Raises OSError.
    """
    made = (folder / ARTIFACT).stat().st_mtime_ns if quick else 0
    for name, digest in artifact.files.items():
        path = folder / name
        if not path.is_file():
            return name, "is not there"
        if path.stat().st_mtime_ns >= made and digest_file(path) != digest:
            return name, "is not the file that was trained"
    return None


def seen(models: Path, source: str) -> list[Artifact]:
    """Artifacts that were trained on a document, an examples file's row, or anything below a folder."""

    source = posixpath.normpath(source)

    def below(one: str) -> bool:
        return source in (one, ".") or one.startswith((f"{source}#", f"{source.rstrip('/')}/"))

    return [one for one in artifacts(models) if any(map(below, one.seen_documents)) or source in one.seen_examples]


def digests(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the files of an artifact; folders stand for all that is in them."""
    found: dict[str, str] = {}
    for name in files:
        path = folder / name
        inner = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        found.update({one.relative_to(folder).as_posix(): digest_file(one) for one in inner})
    return found


def dataset_digest(folder: Path) -> str:
    """Of both splits, as they were written."""
    return digest_file(folder / "train.jsonl")[:32] + digest_file(folder / "validation.jsonl")[:32]


def as_text(artifact: Artifact) -> str:
    return json.dumps(asdict(artifact), ensure_ascii=False, indent=2, sort_keys=True)
