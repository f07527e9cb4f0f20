"""A folder and patterns to the files that are documents, and a file to the groups that may see it. Opens no file.

Patterns are relative to the project: `*` and `?` stay inside one name, `**` spans folders, `{md,pdf}` is a choice. A
pattern that ends in the name of a folder means all that is in it. Names that start with a dot must be asked for.
"""

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from groundtune.types import EVERYONE

Rule = tuple[Sequence[str], Sequence[str]]
"""Patterns of sources, and the groups that may see them."""
Report = Callable[[Path, str], None]
"""Takes a path and why it is left."""

_OWN = frozenset({".groundtune", ".git"})
_PROJECT_FILE = "groundtune.toml"


@dataclass(frozen=True, slots=True)
class _Name:
    """One part of a pattern between slashes."""

    matches: Callable[[str], object]
    dotted: bool
    """Whether it asks for hidden names."""


Parts = tuple[_Name | None, ...]
"""None stands for `**`; it is never last."""
State = tuple[Parts, int]
"""How far a path has come in a pattern."""


def select(
    root: Path,
    *,
    include: Sequence[str],
    exclude: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    follow_links: bool = False,
    unreadable: Report = lambda path, reason: None,
    skipped: Report = lambda path, reason: None,
) -> Iterator[Path]:
    """Files that match, in order of their path: regular, visible, each once.

    exclude: without a slash a name at any depth, else relative to the project; a folder goes with all that is in it.
    leave_out: paths or patterns of the project's own files (examples); groundtune.toml is always left out.
    follow_links: whether links are followed; what is also there under its own name is not taken twice.
    unreadable: called for folders that cannot be read. skipped: for links and special files that match.
    """
    walk = _Walk(os.fspath(root), follow_links, unreadable, skipped)
    walk.excluded = [state for one in exclude for state in _excluding(one)]
    walk.excluded += [state for one in (_PROJECT_FILE, *leave_out) for state in _starts(one)]
    walk.folder("", [state for one in include for state in _starts(one)], walk.excluded)
    walk.links()
    for path in sorted(walk.found):
        yield root / path


def groups_for(source: str, rules: Sequence[Rule]) -> tuple[str, ...]:
    """Groups that may see the file `source`: of all rules that match, sorted; everyone when none does."""
    groups = {group for patterns, names in rules if any(matches(source, one) for one in patterns) for group in names}
    return tuple(sorted(groups)) or (EVERYONE,)


def matches(source: str, pattern: str) -> bool:
    """Whether a path relative to the project matches; `*` matches hidden names too, so that no rule is evaded."""
    states = list(_starts(pattern))
    for name in source.split("/"):
        states = _step(states, name, hidden=True)
    return _complete(states)


@dataclass(slots=True)
class _Walk:
    """One walk over a tree: real folders first, then the links that lead elsewhere."""

    root: str
    follow: bool
    unreadable: Report
    skipped: Report
    excluded: list[State] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    """Real paths of folders and linked files that are done; only kept when links are followed."""
    _links: list[tuple[str, list[State], list[State]]] = field(default_factory=list)

    def folder(self, path: str, wanted: list[State], unwanted: list[State]) -> None:
        """Walks the real folders below; `path` is relative to the root, "" or ending in a slash."""
        stack = [(path, wanted, unwanted)]
        while stack:
            path, wanted, unwanted = stack.pop()
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
                    "no permission to read it" if isinstance(error, PermissionError) else str(error.strerror).lower()
                )
                self.unreadable(Path(self.root, path), reason)
                continue
            for entry in listed:
                self._entry(path, entry, wanted, unwanted, stack)

    def _entry(
        self,
        folder: str,
        entry: os.DirEntry[str],
        wanted: list[State],
        unwanted: list[State],
        stack: list[tuple[str, list[State], list[State]]],
    ) -> None:
        name = entry.name
        if name in _OWN:
            return
        into = _step(wanted, name)
        if not into:
            return
        out = _step(unwanted, name, hidden=True)
        if _complete(out):
            return
        path = folder + name
        if entry.is_symlink():
            self._links.append((path, into, out))
        elif entry.is_dir(follow_symlinks=False):
            stack.append((path + "/", _open(into), _open(out)))
        elif _complete(into):
            if entry.is_file(follow_symlinks=False):
                self.found.append(path)
            else:
                self.skipped(Path(self.root, path), "not a regular file")

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}"

    def links(self) -> None:
        """Follows what the walk found, folders before files and links behind links too, or says that it does not."""
        files = []
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[0]), []
            for path, into, out in links:
                if self.follow and Path(self._full(path)).is_dir():
                    self.folder(path + "/", _open(into), _open(out))
                else:
                    files.append((path, _complete(into)))
        if self.follow and files:
            self._seen.update(os.path.realpath(self._full(path)) for path in self.found)
        for path, matched in files:
            self._file(path, matched)

    def _file(self, path: str, matched: bool) -> None:
        """A link that is not followed into a folder."""
        full = Path(self._full(path))
        if not self.follow:
            if matched or full.is_dir():
                self.skipped(full, "a link; set documents.follow_links = true to follow it")
        elif matched and not full.is_file():
            self.skipped(full, "not a regular file" if full.exists() else "a link to nothing")
        elif matched and (real := os.path.realpath(full)) not in self._seen:
            self._seen.add(real)
            self.found.append(path)


def _step(states: Iterable[State], name: str, *, hidden: bool = False) -> list[State]:
    """Where the states stand after one more name of a path."""
    dotted = name.startswith(".") and not hidden
    after: dict[State, None] = {}
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


def _complete(states: list[State]) -> bool:
    return any(at == len(parts) for parts, at in states)


def _open(states: list[State]) -> list[State]:
    return [(parts, at) for parts, at in states if at < len(parts)]


@cache
def _starts(pattern: str) -> tuple[State, ...]:
    """The states of a pattern at the root of the project."""
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
def _excluding(pattern: str) -> tuple[State, ...]:
    """As `_starts`; a folder is named rather than its content, so that it need not be read."""
    anywhere = "/" not in pattern.rstrip("/")
    bare = re.sub(r"(/\*\*)+(/\*)?/?$|/$", "", pattern)
    return _starts(f"**/{bare}" if anywhere and bare != "**" else bare)


def _parts(names: Sequence[str]) -> Parts:
    parts: list[_Name | None] = []
    for name in names:
        if name != "**":
            parts.append(_Name(re.compile(fnmatch.translate(name)).match, name.startswith(".")))
        elif not parts or parts[-1] is not None:
            parts.append(None)
    return tuple(parts)


def _choices(pattern: str) -> list[str]:
    """`a.{md,pdf}` as `a.md`, `a.pdf`; braces without a comma are themselves."""
    found = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if not found:
        return [pattern]
    heads = [pattern[: found.start()] + choice.strip() for choice in found[1].split(",")]
    return [one for head in heads for one in _choices(head + pattern[found.end() :])]
