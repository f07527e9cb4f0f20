"""Read documents once for several indexes: files stay parsed on disk, other sources are asked once."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundtune.common.files import digest_file, digest_text
from groundtune.errors import ParseError
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.source_items import ConfiguredSource
from groundtune.ingest.sync import Loader
from groundtune.protocols import Source
from groundtune.types import SourceChanges

Loaded = list[ParsedDocument] | ParseError


@dataclass(frozen=True, slots=True)
class SharedReading:
    """Where indexes that are built one after the other get their documents from."""

    folder: Path
    """Keeps what was read; only this process writes there."""
    keep: Callable[[str], bool] = lambda source: True
    """Whether an index gets a file, by its source, or an item, by `NAME:ID`."""

    def loader(self, inner: Loader) -> Loader:
        return _KeepingLoader(inner, self.folder)

    def source(self, inner: ConfiguredSource) -> ConfiguredSource:
        return replace(inner, open=lambda: _KeptSource(inner, self.folder, self.keep))


class _KeepingLoader:
    """A `Loader` that reads each file once, as long as its bytes do not change."""

    def __init__(self, inner: Loader, folder: Path) -> None:
        self._inner = inner
        self._folder = folder

    async def load_many(self, paths: Sequence[Path], parsers: Sequence[str] = ()) -> list[Loaded]:
        names = list(parsers) or [""] * len(paths)
        files = [self._file(path, parser) for path, parser in zip(paths, names, strict=True)]
        missing = [number for number, file in enumerate(files) if file is None or not file.exists()]
        read = await self._inner.load_many([paths[n] for n in missing], [names[n] for n in missing]) if missing else []
        loaded = dict(zip(missing, read, strict=True))
        for number, result in loaded.items():
            if file := files[number]:
                file.write_bytes(pickle.dumps(result))
        return [loaded[n] if file is None else pickle.loads(file.read_bytes()) for n, file in enumerate(files)]

    def _file(self, path: Path, parser: str) -> Path | None:
        """Return where the file's text is kept; None if the file cannot be read, which the loader then says."""
        try:
            return self._folder / f"{_name(path.name, parser, digest_file(path))}.parsed"
        except OSError:
            return None


class _KeptSource:
    """A `Source` that answers from what the real one reported first. Raises what that raises."""

    def __init__(self, inner: ConfiguredSource, folder: Path, keep: Callable[[str], bool]) -> None:
        self._inner = inner
        self._folder = folder
        self._keep = keep
        self._opened: Source | None = None

    async def changes(self, cursor: str | None) -> SourceChanges:
        file = self._folder / f"{_name(self._inner.name, cursor)}.changes"
        if not file.exists():
            self._opened = self._opened or self._inner.open()
            changes = await self._opened.changes(cursor)
            file.write_bytes(pickle.dumps(changes))
        kept: SourceChanges = pickle.loads(file.read_bytes())
        items = [item for item in kept.items if self._keep(f"{self._inner.name}:{item.id}")]
        return replace(kept, items=items)


def _name(*parts: str | None) -> str:
    return digest_text(repr(parts))[:32]
