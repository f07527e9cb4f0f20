"""Keep track of the current generation of the index and the parts it was built with. Opens nothing, embeds nothing.

index/manifest.json        the current generation and its parts; replaced in one step, so a swap is atomic
index/next.json            the same for a rebuild in progress
index/<generation>/        passages (store) and catalog.sqlite
"""

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.common.files import read_json, write_json
from groundtune.errors import IndexMismatchError, MissingError

REBUILD = "groundtune ingest --rebuild"
IndexParts = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """A generation of the index and the parts that built it: parser, chunker, embedder, dimension, language."""

    generation: str
    parts: dict[str, str | int]


class IndexFolder:
    """The folder `.groundtune/index`. Only the single writer calls `begin_generation` and `finish_generation`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._current = folder / "manifest.json"
        self._next = folder / "next.json"

    def current(self) -> IndexManifest | None:
        """The generation that readers use; None before the first ingest."""
        return _read(self._current)

    def require(self, parts: IndexParts) -> IndexManifest:
        """Return the current generation. Raises MissingError if there is none, IndexMismatchError if parts differ."""
        manifest = self.current()
        if manifest is None:
            raise MissingError("this project has no index yet", hint="groundtune ingest")
        if differing := _differences(manifest.parts, parts):
            raise IndexMismatchError(f"the index does not match the project's settings: {differing}", hint=REBUILD)
        return manifest

    def begin_generation(self, parts: IndexParts, *, rebuild: bool) -> IndexManifest:
        """Return the generation to write into: the current one, or a new one alongside it.

        A rebuild and a first index get a new generation, current after `finish_generation`, so that readers never see
        it half built. An unfinished generation with the same parts is resumed.
        """
        current = self.current()
        if current and not rebuild:
            self._drop_old()
            return self.require(parts)
        manifest = _read(self._next)
        if manifest is None or manifest == current or manifest.parts != dict(parts):
            manifest = _new(parts)
        write_json(self._next, asdict(manifest))
        self._drop_old()
        return manifest

    def finish_generation(self, manifest: IndexManifest) -> None:
        """Switch readers to this generation. The old one stays until the next run, for readers that still use it."""
        if manifest != self.current():
            write_json(self._current, asdict(manifest))
            self._next.unlink(missing_ok=True)

    def generation_path(self, manifest: IndexManifest) -> Path:
        """Return the folder of a generation."""
        return self.folder / manifest.generation

    def _drop_old(self) -> None:
        known = {m.generation for path in (self._current, self._next) if (m := _read(path))}
        for folder in self.folder.glob("g-*"):
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> IndexManifest | None:
    if not path.exists():
        return None
    content = read_json(path)
    return IndexManifest(content["generation"], content["parts"])


def _new(parts: IndexParts) -> IndexManifest:
    return IndexManifest(f"g-{uuid.uuid4().hex[:12]}", dict(parts))


def _differences(built: IndexParts, configured: IndexParts) -> str:
    return ", ".join(
        f"{name}: built with {built.get(name)}, now configured as {configured.get(name)}"
        for name in dict.fromkeys((*built, *configured))
        if built.get(name) != configured.get(name)
    )
