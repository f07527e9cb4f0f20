"""Select the files of a project that are documents, and the groups that may see each of them. Opens no file.

Patterns are relative to the project: `*` and `?` match within one name, `**` spans folders, `{md,pdf}` is a choice. A
pattern that ends in the name of a folder matches everything in it. A hidden name is matched only by a component that
starts with a dot.
"""

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from groundtune.types import EVERYONE

AccessRule = tuple[Sequence[str], Sequence[str]]
"""Patterns of sources, and the groups that may see the matching files."""
PathCallback = Callable[[Path, str], None]
"""Receives a path and the reason why it is left out."""

_INTERNAL = frozenset({".groundtune", ".git"})
_PROJECT_FILE = "groundtune.toml"


@dataclass(frozen=True, slots=True)
class _Name:
    """One component of a pattern, between slashes."""

    matches: Callable[[str], object]
    dotted: bool
    """Whether it matches hidden names."""


PatternParts = tuple[_Name | None, ...]
"""None stands for `**`; it is never last."""
MatchState = tuple[PatternParts, int]
"""A pattern, and how many of its parts a path has matched."""


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
    walk.excluded = [state for pattern in exclude for state in _excluding(pattern)]
    walk.excluded += [state for pattern in (_PROJECT_FILE, *leave_out) for state in _starts(pattern)]
    walk.walk_folder("", [state for pattern in include for state in _starts(pattern)], walk.excluded)
    walk.walk_links()
    for path in sorted(walk.files):
        yield root / path


def groups_for(source: str, rules: Sequence[AccessRule]) -> tuple[str, ...]:
    """Return the groups that may see the file `source`, sorted: those of all matching rules, else everyone."""
    groups = {
        group
        for patterns, names in rules
        if any(matches_pattern(source, pattern) for pattern in patterns)
        for group in names
    }
    return tuple(sorted(groups)) or (EVERYONE,)


def matches_pattern(source: str, pattern: str) -> bool:
    """Return whether a path relative to the project matches. `*` matches hidden names too, so no rule can be evaded."""
    states = list(_starts(pattern))
    for name in source.split("/"):
        states = _step(states, name, hidden=True)
    return _complete(states)


@dataclass(slots=True)
class _FolderWalk:
    """One walk over a tree: real folders first, then the links that lead elsewhere."""

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
        included = _step(include, name)
        if not included:
            return
        excluded = _step(exclude, name, hidden=True)
        if _complete(excluded):
            return
        path = folder + name
        if entry.is_symlink():
            self._links.append((path, included, excluded))
        elif entry.is_dir(follow_symlinks=False):
            stack.append((path + "/", _open(included), _open(excluded)))
        elif _complete(included):
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
                    self.walk_folder(path + "/", _open(included), _open(excluded))
                else:
                    leaves.append((path, _complete(included)))
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


def _step(states: Iterable[MatchState], name: str, *, hidden: bool = False) -> list[MatchState]:
    """Return the states after one more component of a path."""
    dotted = name.startswith(".") and not hidden
    after: dict[MatchState, None] = {}
    for parts, at in states:
        if at == len(parts):
            continue
        part = parts[at]
        if part is None:
            if not dotted:
                after[parts, at] = None
            at += 1
            part = parts[at]
        if part is not None and (part.dotted or not dotted) and part.matches(name):
            after[parts, at + 1] = None
    return list(after)


def _complete(states: list[MatchState]) -> bool:
    return any(at == len(parts) for parts, at in states)


def _open(states: list[MatchState]) -> list[MatchState]:
    return [(parts, at) for parts, at in states if at < len(parts)]


@cache
def _starts(pattern: str) -> tuple[MatchState, ...]:
    """Return the states of a pattern at the root of the project."""
    starts = []
    for choice in _choices(pattern):
        names = [name for name in choice.split("/") if name not in ("", ".")]
        if not names:
            names = ["**"]
        if names[-1] == "**":
            names.append("*")
        elif not re.search(r"[*?\[]", names[-1]):
            starts.append((_parts([*names, "**", "*"]), 0))
        starts.append((_parts(names), 0))
    return tuple(starts)


@cache
def _excluding(pattern: str) -> tuple[MatchState, ...]:
    """Return the states of an exclude pattern; a folder is matched rather than its content, so it need not be read."""
    anywhere = "/" not in pattern.rstrip("/")
    bare = re.sub(r"(/\*\*)+(/\*)?/?$|/$", "", pattern)
    return _starts(f"**/{bare}" if anywhere and bare != "**" else bare)


def _parts(names: Sequence[str]) -> PatternParts:
    parts: list[_Name | None] = []
    for name in names:
        if name != "**":
            parts.append(_Name(re.compile(fnmatch.translate(name)).match, name.startswith(".")))
        elif not parts or parts[-1] is not None:
            parts.append(None)
    return tuple(parts)


def _choices(pattern: str) -> list[str]:
    """Expand `a.{md,pdf}` to `a.md`, `a.pdf`; braces without a comma are literal."""
    match = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if not match:
        return [pattern]
    heads = [pattern[: match.start()] + choice.strip() for choice in match[1].split(",")]
    return [expanded for head in heads for expanded in _choices(head + pattern[match.end() :])]
