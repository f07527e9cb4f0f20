"""Read the examples of a project, each file again only when it has changed."""

from collections.abc import Sequence
from pathlib import Path

from groundtune.dataset.examples import find_examples, read_examples
from groundtune.types import Example

Signature = tuple[int, int, int]
"""Size, time of the last change and inode of a file."""


class ExampleFiles:
    """The files with examples under a folder. Threads may share it: the last reading wins."""

    def __init__(self, root: Path, patterns: Sequence[str]) -> None:
        self._root = root
        self._patterns = patterns
        self._files: dict[Path, tuple[Signature, list[Example]]] = {}
        self._all: list[Example] = []

    def read(self) -> list[Example]:
        """Return all examples; the same list as long as no file changes. Raises ConfigError with every problem."""
        files = {path: self._read(path) for path in find_examples(self._root, self._patterns)}
        unchanged = files.keys() == self._files.keys() and all(files[path] is self._files[path] for path in files)
        if not unchanged:
            self._files, self._all = files, [example for _, examples in files.values() for example in examples]
        return self._all

    def _read(self, path: Path) -> tuple[Signature, list[Example]]:
        info = path.stat()
        signature = (info.st_size, info.st_mtime_ns, info.st_ino)
        known = self._files.get(path)
        return known if known and known[0] == signature else (signature, read_examples(path))
