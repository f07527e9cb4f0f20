"""Select the files of a project that are documents. Opens no file; ingest/patterns.py describes the patterns."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.config import PROJECT_FILE
from groundtune.ingest.patterns import MatchState, advance, exclude_states, initial_states, is_match, open_states

PathCallback = Callable[[Path, str], None]
"""Receives a path and the reason why it is left out."""

_INTERNAL = frozenset({".groundtune", ".git"})


def select_files(
    root: Path,
    *,
    include: Sequence[str],
    exclude: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    follow_links: bool = False,
    unreadable: PathCallback = lambda path, reason: None,
    skipped: PathCallback = lambda path, reason: None,
) -> Iterator[Path]:
    """Yield the matching files, sorted by path: regular and visible, each once.

    exclude: without a slash a name at any depth, otherwise relative to the project; a folder excludes everything in it.
    leave_out: paths or patterns of the project's own files (examples); groundtune.toml is always left out.
    follow_links: whether symbolic links are followed; a file also found under its own path is not listed twice.
    unreadable: called for folders that cannot be read. skipped: called for links and special files that match.
    """
    walk = _FolderWalk(os.fspath(root), follow_links, unreadable, skipped)
    walk.excluded = [state for pattern in exclude for state in exclude_states(pattern)]
    walk.excluded += [state for pattern in (PROJECT_FILE, *leave_out) for state in initial_states(pattern)]
    walk.walk_folder("", [state for pattern in include for state in initial_states(pattern)], walk.excluded)
    walk.walk_links()
    for path in sorted(walk.files):
        yield root / path


@dataclass(slots=True)
class _FolderWalk:
    """One walk over a tree: real folders first, then symbolic links."""

    root: str
    follow: bool
    unreadable: PathCallback
    skipped: PathCallback
    excluded: list[MatchState] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    """Real paths of folders and linked files already visited; filled only when links are followed."""
    _links: list[tuple[str, list[MatchState], list[MatchState]]] = field(default_factory=list)

    def walk_folder(self, path: str, include: list[MatchState], exclude: list[MatchState]) -> None:
        """Walk the real folders below `path`, which is relative to the root: empty or ending in a slash."""
        stack = [(path, include, exclude)]
        while stack:
            path, include, exclude = stack.pop()
            if self.follow:
                real = os.path.realpath(self._full(path))
                if real in self._seen:
                    continue
                self._seen.add(real)
            try:
                with os.scandir(self._full(path)) as entries:
                    listed = list(entries)
            except OSError as error:
                reason = (
                    "permission denied; grant read access"
                    if isinstance(error, PermissionError)
                    else str(error.strerror).lower()
                )
                self.unreadable(Path(self.root, path), reason)
                continue
            for entry in listed:
                self._entry(path, entry, include, exclude, stack)

    def _entry(
        self,
        folder: str,
        entry: os.DirEntry[str],
        include: list[MatchState],
        exclude: list[MatchState],
        stack: list[tuple[str, list[MatchState], list[MatchState]]],
    ) -> None:
        name = entry.name
        if name in _INTERNAL:
            return
        included = advance(include, name)
        if not included:
            return
        excluded = advance(exclude, name, hidden=True)
        if is_match(excluded):
            return
        path = folder + name
        if entry.is_symlink():
            self._links.append((path, included, excluded))
        elif entry.is_dir(follow_symlinks=False):
            stack.append((path + "/", open_states(included), open_states(excluded)))
        elif is_match(included):
            if entry.is_file(follow_symlinks=False):
                self.files.append(path)
            else:
                self.skipped(Path(self.root, path), "not a regular file")

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}"

    def walk_links(self) -> None:
        """Follow the links found, folders before files and links behind links too, or report them as skipped."""
        leaves = []
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[0]), []
            for path, included, excluded in links:
                if self.follow and Path(self._full(path)).is_dir():
                    self.walk_folder(path + "/", open_states(included), open_states(excluded))
                else:
                    leaves.append((path, is_match(included)))
        if self.follow and leaves:
            self._seen.update(os.path.realpath(self._full(path)) for path in self.files)
        for path, matched in leaves:
            self._file(path, matched)

    def _file(self, path: str, matched: bool) -> None:
        """Handle a link that is not followed into a folder."""
        full = Path(self._full(path))
        if not self.follow:
            if matched or full.is_dir():
                self.skipped(full, "symbolic link; set documents.follow_links = true to follow it")
        elif matched and not full.is_file():
            self.skipped(full, "not a regular file" if full.exists() else "broken symbolic link")
        elif matched and (real := os.path.realpath(full)) not in self._seen:
            self._seen.add(real)
            self.files.append(path)
