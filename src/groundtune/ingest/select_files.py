"""Select the files of a project that are documents. Opens no file; ingest/patterns.py describes the patterns."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.config import PROJECT_FILE
from groundtune.ingest.patterns import (
    MatchState,
    advance,
    exclude_states,
    initial_states,
    is_match,
    literal_states,
    open_states,
)

PathCallback = Callable[[Path, str], None]
"""Receives a path and the reason why it is left out."""
NameCallback = Callable[[str], None]
"""Receives a path relative to the root."""

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
    excluded: NameCallback = lambda path: None,
    nearly_included: NameCallback = lambda path: None,
) -> Iterator[Path]:
    """Yield the matching files, sorted by path: regular and visible, each once.

    exclude: without a slash a name at any depth, otherwise relative to the project; a folder excludes everything in it.
    leave_out: paths of the project's own files (examples); groundtune.toml is always left out.
    follow_links: whether symbolic links are followed; a file also found under its own path is not listed twice.
    unreadable: called for folders that cannot be read. skipped: called for links and special files that match.
    excluded: called for files and folders that `exclude` leaves out. nearly_included: called for files that are left
    out because of upper and lower case, spaces or characters that cannot be seen.
    """
    walk = _FolderWalk(os.fspath(root), follow_links, unreadable, skipped, excluded, nearly_included)
    states = _Reached(
        [state for pattern in include for state in initial_states(pattern)],
        [state for pattern in include for state in initial_states(pattern, loose=True)],
        [state for pattern in exclude for state in exclude_states(pattern)],
        [state for path in (PROJECT_FILE, *leave_out) for state in literal_states(path)],
    )
    if follow_links:  # behind a link, the project's own files are no documents either
        walk.seen = {os.path.realpath(root / path) for path in (PROJECT_FILE, *leave_out)}
    walk.walk_folder("", states)
    walk.walk_links()
    for path in sorted(walk.files):
        yield root / path


@dataclass(frozen=True, slots=True)
class _Reached:
    """How far a path has matched: the include patterns, the same loosely, the exclude patterns, the project's files."""

    include: list[MatchState]
    loose: list[MatchState]
    exclude: list[MatchState]
    own: list[MatchState]

    def below(self, name: str) -> "_Reached":
        return _Reached(
            advance(self.include, name),
            advance(self.loose, name),
            advance(self.exclude, name, hidden=True),
            advance(self.own, name, hidden=True),
        )

    def folder(self) -> "_Reached":
        return _Reached(*(open_states(states) for states in (self.include, self.loose, self.exclude, self.own)))


@dataclass(slots=True)
class _FolderWalk:
    """One walk over a tree: real folders first, then symbolic links."""

    root: str
    follow: bool
    unreadable: PathCallback
    skipped: PathCallback
    excluded: NameCallback
    nearly_included: NameCallback
    files: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Real paths of folders and linked files already visited; filled only when links are followed."""
    _links: list[tuple[str, _Reached]] = field(default_factory=list)

    def walk_folder(self, path: str, reached: _Reached) -> None:
        """Walk the real folders below `path`, which is relative to the root: empty or ending in a slash."""
        stack = [(path, reached)]
        while stack:
            path, reached = stack.pop()
            if self.follow:
                real = os.path.realpath(self._full(path))
                if real in self.seen or _INTERNAL.intersection(os.path.relpath(real, self.root).split("/")):
                    continue
                self.seen.add(real)
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
                self._entry(path, entry, reached, stack)

    def _entry(
        self, folder: str, entry: os.DirEntry[str], reached: _Reached, stack: list[tuple[str, _Reached]]
    ) -> None:
        if entry.name in _INTERNAL:
            return
        path, reached = folder + entry.name, reached.below(entry.name)
        if not (reached.include or reached.loose) or is_match(reached.own):
            return
        if is_match(reached.exclude):
            self.excluded(path)
        elif entry.is_symlink():
            self._links.append((path, reached))
        elif entry.is_dir(follow_symlinks=False):
            stack.append((path + "/", reached.folder()))
        elif is_match(reached.include):
            if entry.is_file(follow_symlinks=False):
                self.files.append(path)
            else:
                self.skipped(Path(self.root, path), "not a regular file")
        elif is_match(reached.loose):
            self.nearly_included(path)

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}"

    def walk_links(self) -> None:
        """Follow the links found, folders before files and links behind links too, or report them as skipped."""
        leaves = []
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[0]), []
            for path, reached in links:
                if self.follow and reached.include and Path(self._full(path)).is_dir():
                    self.walk_folder(path + "/", reached.folder())
                else:
                    leaves.append((path, reached))
        if self.follow and leaves:
            self.seen.update(os.path.realpath(self._full(path)) for path in self.files)
        for path, reached in leaves:
            self._link(path, is_match(reached.include), possible=bool(reached.include))

    def _link(self, path: str, matched: bool, *, possible: bool) -> None:
        """Handle a link that is not followed into a folder. possible: whether what is below it may match."""
        full = Path(self._full(path))
        if not self.follow:
            if matched or (possible and full.is_dir()):
                self.skipped(full, "symbolic link; set documents.follow_links = true to follow it")
        elif matched and not full.is_file():
            self.skipped(full, "not a regular file" if full.exists() else "broken symbolic link")
        elif matched and (real := os.path.realpath(full)) not in self.seen:
            self.seen.add(real)
            self.files.append(path)
