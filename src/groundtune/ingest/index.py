"""Which index of a project is the present one, and by which parts it was made. Opens nothing, embeds nothing.

index/manifest.json        the present generation and its parts; replaced in one step, so a swap is atomic
index/next.json            the same for a rebuild that is under way beside it
index/<generation>/        passages (store) and catalog.sqlite
"""

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.errors import IndexMismatchError, MissingError
from groundtune.workspace import read_json, write_json

REBUILD = "groundtune ingest --rebuild"
Parts = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A generation of the index and what made it: parser, splitter, embedder, dimension, language."""

    generation: str
    parts: dict[str, str | int]


class IndexFolder:
    """`.groundtune/index`. Only the one writer calls `begin` and `finish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._present = folder / "manifest.json"
        self._next = folder / "next.json"

    def current(self) -> Manifest | None:
        """The generation that readers use; None before the first ingest."""
        return _read(self._present)

    def readable(self, parts: Parts) -> Manifest:
        """Raises MissingError without an index, IndexMismatchError when other parts made it."""
        manifest = self.current()
        if manifest is None:
            raise MissingError("this project has no index yet", hint="groundtune ingest")
        if differing := _differences(manifest.parts, parts):
            raise IndexMismatchError(
                f"the index was made with other parts than the project is set to: {differing}", hint=REBUILD
            )
        return manifest

    def begin(self, parts: Parts, *, rebuild: bool) -> Manifest:
        """The generation to write into: the present one, or one beside it (resumed if it fits) until `finish`.

        Beside it goes a rebuild, and a first index until its store and catalog are there for readers.
        """
        current = self.current()
        if current and not rebuild:
            self._drop_old()
            return self.readable(parts)
        manifest = _read(self._next)
        if manifest is None or manifest == current or manifest.parts != dict(parts):
            manifest = _new(parts)
        write_json(self._next, asdict(manifest))
        self._drop_old()
        return manifest

    def finish(self, manifest: Manifest) -> None:
        """Readers go over to this generation; the former one stays on disk until the next run for those still in it."""
        if manifest != self.current():
            write_json(self._present, asdict(manifest))
            self._next.unlink(missing_ok=True)

    def path(self, manifest: Manifest) -> Path:
        """Folder of a generation."""
        return self.folder / manifest.generation

    def _drop_old(self) -> None:
        known = {m.generation for path in (self._present, self._next) if (m := _read(path))}
        for folder in self.folder.glob("g-*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> Manifest | None:
    if not path.exists():
        return None
    found = read_json(path)
    return Manifest(found["generation"], found["parts"])


def _new(parts: Parts) -> Manifest:
    return Manifest(f"g-{uuid.uuid4().hex[:12]}", dict(parts))


def _differences(made: Parts, wanted: Parts) -> str:
    return ", ".join(
        f"{name} was {made.get(name)}, is {wanted.get(name)}"
        for name in dict.fromkeys((*made, *wanted))
        if made.get(name) != wanted.get(name)
    )
